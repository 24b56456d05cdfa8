"""What workers print, under the cell that made the call: all of it at first, and of a flood the latest lines."""

from __future__ import annotations

import sys
import uuid
from collections import deque
from time import monotonic
from typing import Any

from nbactors.frontend.sink import Lines
from nbactors.frontend.text_stream import write
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.painter import painter

HEAD_LINES = 5_000
HEAD_BYTES = 1 << 20
"""What is shown of one cell's output in full; what exceeds either is a flood."""

TAIL_LINES = 50
TAIL_WIDTH = 500
EVERY_S = 0.5
"""How often the end of a flood is shown anew."""

_STREAMS = {1: "stdout", 2: "stderr"}


class Printing:
    """The output of all cells. `show` is called on the leader's thread, one at a time."""

    def __init__(self) -> None:
        self._shown: dict[int, list[int]] = {}
        self._floods: dict[int, Flood] = {}

    def show(self, lines: Lines) -> None:
        """Show lines under their cell, or under the one that runs if they have none that is known."""
        if not lines.cell or cells.header(lines.cell) is None:
            stream: Any = sys.stdout if lines.stream == 1 else sys.stderr
            write(stream, lines.shown(in_colour=True))
            return
        shown = self._shown.setdefault(lines.cell, [0, 0])
        if shown[0] < HEAD_LINES and shown[1] < HEAD_BYTES:
            shown[0] += lines.text.count("\n") or 1
            shown[1] += len(lines.text)
            text = lines.shown(in_colour=True)
            cells.publish(lines.cell, "stream", {"name": _STREAMS[lines.stream], "text": text})
            return
        flood = self._floods.get(lines.cell)
        if flood is None:
            flood = self._floods[lines.cell] = Flood(lines.cell)
        flood.add(lines)


class Flood:
    """The output of one cell beyond what is shown in full: its last lines, in a display that is shown anew."""

    def __init__(self, cell: int) -> None:
        self._cell = cell
        self._display_id = uuid.uuid4().hex
        self._is_shown = False
        self._latest: deque[Lines] = deque(maxlen=TAIL_LINES)
        self._count = 0
        self._painted_at = 0.0
        self._names: dict[str, None] = {}

    def add(self, lines: Lines) -> None:
        """Take lines in. The leader's thread."""
        self._count += lines.text.count("\n") or 1
        self._latest.append(lines)
        self._names[lines.label] = None
        painter.touch(self, self._painted_at + EVERY_S)

    def paint(self, now: float) -> float | None:
        """Show the last lines. See `painter.Picture`."""
        self._painted_at = monotonic()
        count = self._count
        tail: list[str] = []
        for lines in reversed(list(self._latest)):
            # Of a long text only the end: it is cut before each line is marked.
            end = lines.text.removesuffix("\n").rsplit("\n", TAIL_LINES)[-TAIL_LINES:]
            shown = lines._replace(text="\n".join(end)).shown(in_colour=False)
            tail = [line[:TAIL_WIDTH] for line in shown.splitlines()] + tail
            if len(tail) >= TAIL_LINES:
                break
        tail = tail[-TAIL_LINES:]
        left_out = max(count - len(tail), 0)
        name = next(iter(self._names), "")
        note = f"… {left_out:,} more lines; all of them: %actor_logs {name}" if left_out else ""
        text = "\n".join([note, *tail] if note else tail)
        content = {
            "data": {"text/plain": text},
            "metadata": {},
            "transient": {"display_id": self._display_id},
        }
        kind = "update_display_data" if self._is_shown else "display_data"
        self._is_shown = True
        cells.publish(self._cell, kind, content)
        return None
