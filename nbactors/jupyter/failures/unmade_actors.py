"""Actors whose constructor has raised: shown under the cell that has created them, also if no call is made."""

from __future__ import annotations

import re
import threading
from time import monotonic

from IPython.core.interactiveshell import InteractiveShell

from nbactors import exceptions
from nbactors.exceptions.source_lines import raised, split_call, with_sources
from nbactors.frontend.sink import Unmade
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.cell_output.painter import painter
from nbactors.jupyter.failures import tracebacks

HOLD_S = 0.5
"""Seconds to wait before a failure is shown. A cell that waits for such an actor fails meanwhile, and shows it itself.
Actors that fail alike are shown together."""

_PID = re.compile(r" \(pid=\d+\)")


class UnmadeActors:
    """The failures that are to be shown."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._new: list[Unmade] = []
        self._told: set[str] = set()

    def take(self, unmade: Unmade) -> None:
        """Take a failure. On the leader's thread."""
        with self._lock:
            self._new.append(unmade)
        painter.touch(self, monotonic() + HOLD_S)

    def note_told(self, error: BaseException) -> None:
        """Note an error that a cell is about to show. On the main thread."""
        with self._lock:
            for each in tracebacks.linked(error):
                if isinstance(each, exceptions.RayActorError) and each.actor_id:
                    self._told.add(each.actor_id)

    def paint(self, now: float) -> float | None:
        """Show the failures, those that are alike together. See `painter.Picture`."""
        with self._lock:
            new = [unmade for unmade in self._new if unmade.actor_id not in self._told]
            self._new.clear()
            self._told.clear()
        alike: dict[tuple[int, str], list[Unmade]] = {}
        for unmade in new:
            alike.setdefault((unmade.cell, _PID.sub("", unmade.text)), []).append(unmade)
        for group in alike.values():
            _show(group)
        return None


def _show(alike: list[Unmade]) -> None:
    """Show a failure as an error of its cell. On the painter's thread."""
    unmade = alike[0]
    count = f", and {len(alike) - 1} more alike" if len(alike) > 1 else ""
    call, trace = split_call(unmade.text)
    head = f"{call or f'Actor {unmade.class_name}'}{count}"
    kind, _, text = raised(trace).partition(": ")
    content = {"ename": kind, "evalue": text, "traceback": [head, *with_sources(trace).rstrip().split("\n")]}
    cells.publish(unmade.cell, "error", content)


_unmade = UnmadeActors()
take = _unmade.take
_note_told = _unmade.note_told


def watch(shell: InteractiveShell) -> None:
    """Note which failures the cells show themselves. Calling it again does nothing. On the main thread."""
    # Not at the cell's end: on a busy machine IPython may take longer than `HOLD_S` to format an error.
    tracebacks.before_shown(_note_told)
