"""The table of actors that `%actors` shows, as text and as static HTML."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from nbactors.views import html

_HEADS = ("name", "variable", "class", "state", "pid", "runs", "calls here", "up", "memory", "holds", "namespace")
_MEBIBYTE = 1 << 20
_WIDEST = 60


class Roster:
    """A snapshot of actors, which shows as a table.

    Attributes:
        rows: The rows of `nbactors.util.state.list_actors(detail=True)`.
    """

    def __init__(
        self, rows: Sequence[dict[str, Any]], calls: Sequence[dict[str, Any]], variables: Mapping[str, str], empty: str
    ) -> None:
        """Take the snapshot. Reading the facts of a process takes about a millisecond.

        Args:
            rows: The actors.
            calls: This process's pending calls, as of `nbactors.util.calls.pending_calls`.
            variables: The names of variables that hold a handle, by the actor's id.
            empty: The text that stands for an empty table.
        """
        self.rows = list(rows)
        self._empty = empty
        waiting = Counter(call["actor_id"] for call in calls if not call["sent"])
        pending = Counter(call["actor_id"] for call in calls)
        self._cells = [
            _cells(row, variables.get(row["actor_id"], ""), pending[row["actor_id"]], waiting[row["actor_id"]])
            for row in rows
        ]
        # Empty columns are left out.
        kept = [index for index in range(len(_HEADS)) if any(cells[index] for cells in self._cells)]
        self._heads = [_HEADS[index] for index in kept]
        self._cells = [[cells[index] for index in kept] for cells in self._cells]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return self._empty
        lines = [[_cut(cell) for cell in line] for line in (self._heads, *self._cells)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{html.escaped(self._empty)}</p>"
        return html.table(self._heads, self._cells)


def _cut(text: str) -> str:
    """Return the text of a cell, shortened. Only the table of text is: HTML has all of it."""
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _cells(row: dict[str, Any], variable: str, pending: int, waiting: int) -> list[str]:
    """Return the cells of an actor's row, in the order of the heads."""
    running, up, memory = _process(row["pid"]) if row["state"] == "ALIVE" else ("", "", "")
    state = row["state"].lower().replace("_", " ") + (", detached" if row["is_detached"] else "")
    if row["state"] == "DEAD" and row["death_cause"]:
        state += f": {row['death_cause'].strip().splitlines()[0].rstrip('.')}"
    calls = (f"{pending}" + (f" ({waiting} waiting)" if waiting else "")) if pending else ""
    holds = ", ".join(f"{_amount(name, value)} {name}" for name, value in sorted(row["required_resources"].items()))
    namespace = row["ray_namespace"] if row["name"] else ""
    return [
        # The beginning of its id stands for an actor without a name. `nbactors logs` takes it, too.
        row["name"] or row["actor_id"][:12],
        variable,
        row["class_name"],
        state,
        str(row["pid"] or ""),
        running,
        calls,
        up,
        memory,
        holds,
        namespace,
    ]


def _process(pid: int) -> tuple[str, str, str]:
    """Return the method that an actor's process runs, its time since the start, and its memory."""
    try:
        process = psutil.Process(pid)
        # The title of a worker names the running call: ray::Counter.increment.
        title = (process.cmdline() or [""])[0].removeprefix("ray::")
        up = time.time() - process.create_time()
        memory = process.memory_full_info()
    except psutil.Error:  # the process is ending, or the system denies access
        return "", "", ""
    own = getattr(memory, "uss", memory.rss)
    return title.partition(".")[2], _span(up), f"{own / _MEBIBYTE:.1f} MiB (RSS {memory.rss / _MEBIBYTE:.0f})"


def _span(seconds: float) -> str:
    """Return a span of time in its largest fitting unit."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if minutes < 60 else f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def _amount(name: str, value: float) -> str:
    return f"{value / _MEBIBYTE:.0f} MiB" if "memory" in name else f"{value:g}"
