"""The output of workers under the cell that made the call: all of it at first, and of a flood the latest lines."""

from __future__ import annotations

import sys
import threading
from collections import deque
from time import monotonic
from typing import Any

from nbactors.frontend import redirected
from nbactors.frontend.sink import Output
from nbactors.frontend.text_stream import is_terminal, write, write_now
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.live import Live
from nbactors.jupyter.cell_output.painter import painter

HEAD_LINES = 5_000
HEAD_BYTES = 1 << 20
"""The output of one cell that is shown in full. Output beyond either limit is a flood."""

TAIL_LINES = 50
TAIL_WIDTH = 500
EVERY_S = 0.5
"""Seconds between two displays of a flood's latest lines."""

_STREAMS = {1: "stdout", 2: "stderr"}


class CellOutput:
    """The output under all cells. `show` is called on the leader's thread, one call at a time."""

    def __init__(self) -> None:
        self._shown: dict[int, list[int]] = {}
        self._floods: dict[int, Flood] = {}
        self._held: dict[int, Held] = {}

    def hold(self, cell: int) -> Held:
        """Keep the output of a cell back until `let_go`. Any thread."""
        held = self._held[cell] = Held()
        return held

    def let_go(self, cell: int) -> None:
        """Show the further output of a cell again. Any thread."""
        self._held.pop(cell, None)

    def show(self, output: Output) -> None:
        """Show output under its cell, or under the running cell if its own is not known.

        A block of the running cell that redirects the stream gets the cell's output instead.
        """
        held = self._held.get(output.cell)
        if held is not None and held.take(output):
            return
        block = redirected.stream(output.stream)
        if block is not None and cells.is_running(output.cell):
            write_now(block, output.lines(in_colour=is_terminal(block)))
            return
        if not output.cell or not cells.is_known(output.cell):
            stream: Any = sys.stdout if output.stream == 1 else sys.stderr
            write(stream, output.lines(in_colour=True))
            return
        shown = self._shown.setdefault(output.cell, [0, 0])
        if shown[0] < HEAD_LINES and shown[1] < HEAD_BYTES:
            shown[0] += output.text.count("\n") or 1
            shown[1] += len(output.text)
            text = output.lines(in_colour=True)
            cells.publish(output.cell, "stream", {"name": _STREAMS[output.stream], "text": text})
            return
        flood = self._floods.get(output.cell)
        if flood is None:
            flood = self._floods[output.cell] = Flood(output.cell)
        flood.add(output)


class Held:
    """The output of one cell that is kept back, by process: the first lines of each, up to a limit."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._texts: dict[int, list[str]] = {}
        self._left = HEAD_BYTES
        self._is_read = False

    def take(self, output: Output) -> bool:
        """Take output in; return whether it is kept back. On the leader's thread."""
        with self._lock:
            if self._is_read or self._left < len(output.text):
                return False
            self._left -= len(output.text)
            self._texts.setdefault(output.pid, []).append(output._replace(has_prefix=False).lines(in_colour=False))
        return True

    def read(self) -> dict[int, str]:
        """Return the text of each process, and take no more. Any thread."""
        with self._lock:
            self._is_read = True
            return {pid: "".join(texts) for pid, texts in self._texts.items()}


class Flood:
    """The output of one cell beyond the limits: its last lines, in a display that is replaced now and then."""

    def __init__(self, cell: int) -> None:
        self._live = Live(cell)
        self._latest: deque[Output] = deque(maxlen=TAIL_LINES)
        self._count = 0
        self._painted_at = 0.0
        self._names: dict[str, None] = {}

    def add(self, output: Output) -> None:
        """Take output in. On the leader's thread."""
        self._count += output.text.count("\n") or 1
        self._latest.append(output)
        self._names[output.label] = None
        painter.touch(self, self._painted_at + EVERY_S)

    def paint(self, now: float) -> float | None:
        """Show the last lines. See `painter.Picture`."""
        self._painted_at = monotonic()
        count = self._count
        tail: list[str] = []
        for output in reversed(list(self._latest)):
            # A long text is cut before its lines get their prefix.
            end = output.text.removesuffix("\n").rsplit("\n", TAIL_LINES)[-TAIL_LINES:]
            shown = output._replace(text="\n".join(end)).lines(in_colour=False)
            tail = [line[:TAIL_WIDTH] for line in shown.splitlines()] + tail
            if len(tail) >= TAIL_LINES:
                break
        tail = tail[-TAIL_LINES:]
        left_out = max(count - len(tail), 0)
        name = next(iter(self._names), "")
        note = f"… {left_out:,} more lines; all of them: %actor_logs {name}" if left_out else ""
        self._live.show_text("\n".join([note, *tail] if note else tail))
        return None
