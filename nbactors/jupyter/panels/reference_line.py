"""`ReferenceLine`: the line under a cell that shows the state of a call, whose reference the user has looked at.

- The engine's record of the object tells of the end at once, and of the call's name. It counts no error as read.
- The event stream tells what the call waits for, and when it has begun, up to half a second later. It is read only
  while a page shows a panel.
- The line holds only a weak reference: the value goes when the user's last reference goes.
"""

from __future__ import annotations

import threading
import weakref
from time import localtime, strftime, time
from typing import Any

import nbactors
from nbactors import byte_sizes
from nbactors.jupyter.cell_output.live import Live
from nbactors.jupyter.cell_output.painter import painter
from nbactors.jupyter.panels.activity import is_running
from nbactors.jupyter.panels.feed import Feed
from nbactors.jupyter.panels.source import Answer
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.util import calls
from nbactors.views import line

_CANCELLED = "TaskCancelledError"


class ReferenceLine:
    """One line. Methods: any thread, unless they say otherwise.

    Args:
        ref: A reference, or a generator.
        name: The call's name.
        text: The text of the static form.
        cell: The number of the cell that shows the line.
        feed: Has the events.
    """

    table: str | None = None

    def __init__(
        self, ref: ObjectRef[Any] | ObjectRefGenerator[Any], name: str, text: str, cell: int, feed: Feed
    ) -> None:
        self._ref = weakref.ref(ref, lambda _: self._end("ended", "no reference is left"))
        self._task_id = calls.call_id(_ending(ref))
        self._name = name
        self._text = text
        self._feed = feed
        self._lock = threading.RLock()  # the reference may go at any moment
        self._since = time()
        self._mark, self._word, self._note, self._took = "queued", "submitted", "", ""
        self._is_cancelling = False
        self._live = Live(cell, self, feed.touch)

    @classmethod
    def of(cls, ref: ObjectRef[Any] | ObjectRefGenerator[Any], cell: int, feed: Feed) -> ReferenceLine | None:
        """Return the line of a call of this process; None if the call has ended, or is another process's."""
        facts = _ending(ref)._entry.facts()
        if facts.state != "pending" or not facts.call:
            return None
        text = ref._repr_mimebundle_()["text/plain"]
        return cls(ref, facts.call, text.partition(": ")[0], cell, feed)

    def begin(self) -> None:
        """Show the line. On the cell's thread."""
        self._live.open()
        self._live.show(*self._form())
        if self._live.panel is not None:
            self._feed.add(self._live.panel)
        ref = self._ref()
        if ref is not None:
            _ending(ref)._entry.when_done(self._note_end)

    def state(self) -> dict[str, Any]:
        """See `Source`."""
        with self._lock:
            before = (self._mark, self._word)
            if not self._took:
                self._look()
            if (self._mark, self._word) != before:
                painter.touch(self)  # the static form is to say so, too
            return {
                "view": "line",
                "now": time(),
                "name": self._name,
                "mark": self._mark,
                "word": self._word,
                "since": self._since,
                "took": self._took,
                "note": self._note,
                "tip": f"Cancel {self._name}",
                "button": "" if self._took else "Cancel",
            }

    def do(self, command: dict[str, Any]) -> Answer:
        """Cancel the call; a synchronous method is interrupted. See `Source`."""
        ref = self._ref()
        if ref is None or self._took:
            return Answer(False, "The call has ended, or no reference is left.")
        self._is_cancelling = True
        nbactors.cancel(ref, interrupt=True)
        return Answer(True)

    def paint(self, now: float) -> float | None:
        """Show the state. On the painter's thread."""
        if self._took:
            self._live.end(*self._form())
            return None
        self._live.show(*self._form())
        return self._live.refresh_at

    def _look(self) -> None:
        """Learn what the call does now. Under the lock."""
        row = self._feed.activity.live(self._task_id)
        if row is not None:
            started = row["times"][2] if is_running(row) else 0.0
            awaited = row["waits_for"]
            if started:
                self._mark, self._word = "busy", "running"
            elif awaited:
                self._mark, self._word = "waiting", f"waits for {awaited}"
            else:
                self._mark, self._word = "queued", "queued"
            self._since = started or row["times"][0] or self._since
        if self._is_cancelling:
            self._mark, self._word = "waiting", "cancelling …"
        ref = self._ref()
        if isinstance(ref, ObjectRefGenerator):
            self._note = _to_read(ref)

    def _note_end(self) -> None:
        """Take the end of the call. On the thread that has brought it, which must not be held up."""
        ref = self._ref()
        if ref is None:
            return
        facts = _ending(ref)._entry.facts()
        error = facts.error
        note = byte_sizes.shown(facts.size) if facts.size else ""
        if isinstance(ref, ObjectRefGenerator):
            error = error or ref._entry.facts().error
            note = _to_read(ref)
        if error.startswith(_CANCELLED):
            self._end("cancelled", "cancelled")
        elif error:
            self._end("failed", "failed", error)
        else:
            self._end("done", "done", note)

    def _end(self, mark: str, word: str, note: str = "") -> None:
        with self._lock:
            if self._took:
                return
            self._took = line.took(time() - self._since)
            self._mark, self._word, self._note = mark, word, note
        painter.touch(self)

    def _form(self) -> tuple[str, str]:
        """Return the static form, as text and as HTML."""
        with self._lock:
            when = self._took or strftime("since %H:%M:%S", localtime(self._since))
            shown = (self._mark, self._name, self._word, when, self._note)
        return f"{self._text}: {line.text(*shown)}", line.html(*shown)


def _ending(ref: ObjectRef[Any] | ObjectRefGenerator[Any]) -> ObjectRef[Any]:
    """Return the reference that is ready when the call has ended."""
    return ref.completed() if isinstance(ref, ObjectRefGenerator) else ref


def _to_read(generator: ObjectRefGenerator[Any]) -> str:
    return f"{count} to read" if (count := generator._entry.facts().unread) else ""
