"""The panel of a trace: the calls of one cell and of their callees, until the last of them has ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbactors
from nbactors.jupyter.panels import states
from nbactors.jupyter.panels.source import Answer
from nbactors.jupyter.panels.trace_spans import TraceSpans
from nbactors.util.files import text_file
from nbactors.util.state import TaskChanges
from nbactors.util.timeline import timeline_of
from nbactors.views import html

if TYPE_CHECKING:
    from nbactors.jupyter.panels.feed import Feed

_HEADS = ("function", "calls", "queued: median", "longest", "ran: median", "longest", "failed")


class TraceSource:
    """What the panel of a trace shows. It is a `feed.Reader` until the calls have ended.

    Args:
        feed: Has the events.
        cell: The number of the cell, 0 in a terminal.
        prompt: What the user calls the cell, such as "In[3]".
        path: The file that the button writes.
        on_change: Called on the feed's thread when calls have changed, with True when all have ended.
    """

    table: str | None = "spans"

    def __init__(self, feed: Feed, cell: int, prompt: str, path: Path, on_change: Callable[[bool], None]) -> None:
        self._feed = feed
        self._prompt = prompt
        self._path = path
        self._on_change = on_change
        self._lock = threading.Lock()
        self._spans = TraceSpans(cell, time.time(), feed.unlisted)
        self._known: dict[str, dict[str, Any]] = {}
        self.note = ""
        """A text for the user, such as the file that was written."""
        self.is_open = True
        self._note_session()

    def _note_session(self) -> None:
        """Note the session that is open: the cell may open it itself."""
        if nbactors.is_initialized():
            self._spans.jobs.add(nbactors.get_runtime_context().get_job_id())

    def end_cell(self) -> None:
        """Note that the cell has ended. On its thread."""
        with self._lock:
            self._note_session()
            self._spans.cell_ended = time.time()

    def take(self, changes: TaskChanges | None) -> None:
        """See `feed.Reader`."""
        with self._lock:
            now = time.time()
            if not self._spans.cell_ended:
                self._note_session()
            is_changed = changes is not None and self._spans.apply(changes, now)
            self.is_open = not self._spans.is_over(now)
        if is_changed or not self.is_open:
            self._on_change(not self.is_open)

    def state(self) -> dict[str, Any]:
        """See `source.Source`."""
        with self._lock:
            return self._state()

    def _state(self) -> dict[str, Any]:
        spans = self._spans
        return {
            "view": "trace",
            "now": time.time(),
            "prompt": self._prompt,
            "began": spans.began,
            "cell_ended": spans.cell_ended,
            "ended": spans.ended,
            "spans": self._rows(),
            "functions": spans.functions(),
            "live": spans.live,
            "dropped": spans.dropped,
            "unlisted": spans.unlisted,
            "note": self.note,
        }

    def _rows(self) -> dict[str, dict[str, Any]]:
        numbers = {call.task_id: str(call.number) for call in self._spans.drawn()}
        actors = self._feed.actors
        titles: dict[str, str] = {"": "tasks"}
        rows = {}
        for call in self._spans.drawn():
            actor_id = call.actor_id
            if actor_id not in titles:
                row = actors.get(actor_id)
                # An actor that the node has forgotten keeps its name.
                before = self._known.get(str(call.number))
                title = states.title(row) if row is not None else before["track"] if before else ""
                titles[actor_id] = title or f"{call.name.rpartition('.')[0]} {actor_id[:6]}"
            number = str(call.number)
            rows[number] = {
                "id": number,
                "parent": numbers.get(call.parent, ""),
                "name": call.name,
                "track": titles[actor_id],
                "mark": call.mark,
                "submitted": call.submitted,
                "started": call.started,
                "ended": call.ended,
            }
        self._known = rows
        return rows

    def do(self, command: dict[str, Any]) -> Answer:
        """See `source.Source`."""
        if command["what"] != "timeline":
            return Answer(False, f"A trace knows no command {command['what']!r}.")
        return Answer(True, self.save(self._path))

    def save(self, path: Path) -> str:
        """Write the calls as trace events; return a text that says where. Blocks.

        Raises:
            OSError: The file cannot be written, or the node does not answer.
        """
        with self._lock:
            calls = set(self._spans.calls)
            began, ended = self._spans.began, self._spans.ended or time.time()
        events, found = timeline_of(calls, began, ended)
        text_file.write(path, json.dumps(events))
        missing = len(calls) - found
        return f"Saved {found:,} calls in {path}" + (f"; the node knows {missing:,} no more" if missing else "")

    def static(self) -> dict[str, str]:
        """Return the static form by MIME type."""
        with self._lock:
            state = self._state()
        return bundle(state)


def bundle(state: dict[str, Any]) -> dict[str, str]:
    """Return the static form of a trace, by MIME type."""
    head = headline(state)
    rows = [_cells(row) for row in state["functions"]]
    notes = notes_of(state)
    lines = [head, *(_aligned([_HEADS, *rows]) if rows else []), *notes]
    table = html.table(_HEADS, rows) if rows else ""
    below = "".join(f"<br>{html.escaped(note)}" for note in notes)
    return {"text/plain": "\n".join(lines), "text/html": f"<strong>{html.escaped(head)}</strong>{table}{below}"}


def headline(state: dict[str, Any]) -> str:
    """Return the first line, such as "In[3]: 12 calls in 3.2 s, 2 failed"."""
    count = sum(row["count"] for row in state["functions"])
    failed = sum(row["failed"] for row in state["functions"])
    parts = [f"{count:,} call{'' if count == 1 else 's'}"]
    if state["ended"]:
        parts[0] += f" in {took(state['ended'] - state['began'])}"
    elif state["live"]:
        parts.append(f"{state['live']:,} not ended")
    parts += [f"{failed:,} failed"] if failed else []
    return f"Trace of {state['prompt']}: {', '.join(parts)}"


def notes_of(state: dict[str, Any]) -> list[str]:
    """Return what the user has to know about calls that are missing, and about files."""
    notes = []
    if state["dropped"]:
        notes.append(f"{state['dropped']:,} more calls are not drawn.")
    if state["unlisted"]:
        notes.append(f"{state['unlisted']:,} more short calls of these functions were counted only.")
    return [*notes, *([state["note"]] if state["note"] else [])]


def _cells(row: dict[str, Any]) -> list[str]:
    times = [text for pair in (row["queue"], row["run"]) for text in (map(took, pair) if pair else ("", ""))]
    return [row["name"], f"{row['count']:,}", *times, f"{row['failed']:,}" if row["failed"] else ""]


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def took(seconds: float) -> str:
    """Return a span of time, such as "3.2 ms". As `took` in `labextension/src/format.ts`."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.01:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s"
