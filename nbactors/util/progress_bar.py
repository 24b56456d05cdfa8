"""`progress`: a bar for calls that run.

In a notebook it is a live bar under the cell, in a terminal one that redraws its line, and elsewhere (a log file) a
line now and then. Under the cell, as in a worker's output, it stays where it began, whatever runs later.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, TextIO

from nbactors import engine
from nbactors.api import get, wait
from nbactors.frontend.sink import Progress as State
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.util import bar_text

SHOW_S = 0.1
"""How often a bar changes at most."""
LINE_S = 2.0
"""How often a line is printed at most where there is no terminal."""

_names = itertools.count(1)


def progress(
    refs: Any, desc: str | None = None, *, total: int | None = None, unit: str = "call", leave: bool = True
) -> Progress:
    """Show a bar that counts how many calls are done. Returns at once; the bar goes on by itself.

    ::

        for ref in progress(refs, "resize"):         # each as soon as it is done
            image = nbactors.get(ref)

        images = progress(refs, "resize").get()      # all values, in the order of `refs`

    Calls that have failed are counted as done, and the bar says how many they are.

    Args:
        refs: A list of references, of generators or of both; a dict with such values; or one generator, whose items
            are counted as they are read.
        desc: What stands before the bar.
        total: How many items one generator will yield, if that is known. Of a list or dict it is the length.
        unit: What is counted.
        leave: Whether the bar stays when all are done.

    Raises:
        TypeError: `refs` holds something else.
    """
    if isinstance(refs, ObjectRef):
        refs = [refs]
    things = list(refs.values()) if isinstance(refs, Mapping) else refs
    if not isinstance(things, ObjectRefGenerator):
        things = list(things) if isinstance(things, (Sequence, Iterator, set, frozenset)) else [things]
        for thing in things:
            if not isinstance(thing, (ObjectRef, ObjectRefGenerator)):
                raise TypeError(
                    f"progress() takes a list or a dict of references, or one generator. Got: {thing!r:.80} among them"
                )
        total = len(things)
    return Progress(refs if isinstance(refs, Mapping) else things, _Bar(desc or "", total, unit, leave))


class Progress:
    """What `progress` returns: iterable once, in the order in which calls are done.

    Iterating gives references; of a dict, pairs of key and reference. A generator in a list is given when it has
    ended.
    """

    def __init__(self, refs: Any, bar: _Bar) -> None:
        self._refs = refs
        self._bar = bar
        if isinstance(refs, ObjectRefGenerator):
            bar.show()
            return
        things = list(refs.values()) if isinstance(refs, Mapping) else refs
        if not things:
            bar.close()
        bar.show()
        for thing in things:
            done = _done(thing)
            done._entry.when_done(lambda done=done: bar.count(done._entry.failed()))

    def __len__(self) -> int:
        """Return how many there are in all."""
        return len(self._refs)

    def __iter__(self) -> Iterator[Any]:
        """Wait for what is done next. An interrupt ends the wait alone: the calls and the bar go on."""
        if isinstance(self._refs, ObjectRefGenerator):
            return self._items(self._refs)
        pairs = list(self._refs.items()) if isinstance(self._refs, Mapping) else [(ref, ref) for ref in self._refs]
        return self._completed(pairs, isinstance(self._refs, Mapping))

    def get(self, timeout: float | None = None) -> Any:
        """Wait for all and return their values: a list in the order given, or a dict.

        Generators give the list of their values.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            Exception: What the first call in that order that has failed raised.
            GetTimeoutError: Not all were done in time.
        """
        refs = self._refs
        if isinstance(refs, Mapping):
            return dict(zip(refs, self._values(list(refs.values()), timeout), strict=True))
        if isinstance(refs, ObjectRefGenerator):
            return get(list(self), timeout=timeout)
        return self._values(refs, timeout)

    @staticmethod
    def _values(things: list[Any], timeout: float | None) -> list[Any]:
        if not any(isinstance(thing, ObjectRefGenerator) for thing in things):
            return get(things, timeout=timeout)
        # Those of generators one by one: each is a list of its own.
        ends = None if timeout is None else monotonic() + timeout
        values: list[Any] = []
        for thing in things:
            left = None if ends is None else max(ends - monotonic(), 0.0)
            values.append(get(list(thing) if isinstance(thing, ObjectRefGenerator) else thing, timeout=left))
        return values

    def _items(self, generator: ObjectRefGenerator[Any]) -> Iterator[ObjectRef[Any]]:
        for ref in generator:
            self._bar.count(ref._entry.failed())
            yield ref
        self._bar.close()

    @staticmethod
    def _completed(pairs: list[tuple[Any, Any]], with_keys: bool) -> Iterator[Any]:
        waiting: dict[ObjectRef[Any], list[tuple[Any, Any]]] = {}
        for key, thing in pairs:
            waiting.setdefault(_done(thing), []).append((key, thing))
        while waiting:
            refs = list(waiting)
            wait(refs, num_returns=1, fetch_local=False)
            ready, _ = wait(refs, num_returns=len(refs), timeout=0, fetch_local=False)
            for done in ready:
                for key, thing in waiting.pop(done):
                    yield (key, thing) if with_keys else thing

    def _ipython_display_(self) -> None:
        """A cell's result: in a notebook the bar is there already."""
        if not self._bar.is_elsewhere:
            print(repr(self))

    def __repr__(self) -> str:
        return f"<progress: {self._bar.line()}>"


def _done(thing: Any) -> ObjectRef[Any]:
    """Return what is ready when a call is done."""
    return thing.completed() if isinstance(thing, ObjectRefGenerator) else thing


class _Bar:
    """The bar itself. Methods: any thread, mostly the one that receives answers, which must not be held up."""

    def __init__(self, description: str, total: int | None, unit: str, leave: bool) -> None:
        self._description = description
        self._total = total
        self._unit = unit
        self._leave = leave
        self._name = f"progress-{next(_names)}"
        self._cell = engine.current().calling_cell()
        self._lock = threading.RLock()
        self._began = self._ended = monotonic()
        self._n = self._failures = 0
        self._closed = False
        self.is_elsewhere = False
        """Whether a notebook shows it."""
        self._shown_at = 0.0
        self._is_due = False
        self._printed = _Printed()

    def count(self, failed: bool) -> None:
        """One more is done."""
        with self._lock:
            self._n += 1
            self._failures += failed
            self._closed = self._closed or self._n == self._total
        self.show()

    def close(self) -> None:
        """Nothing more comes."""
        with self._lock:
            already, self._closed = self._closed, True
        if not already:
            self.show()

    def show(self) -> None:
        """Show it now, or in a while if it was shown just now."""
        with self._lock:
            now = monotonic()
            if self._shown_at == float("inf"):
                return
            if not self._closed and now - self._shown_at < SHOW_S:
                self._show_later(self._shown_at + SHOW_S - now)
                return
            self._ended = now
            self._shown_at = float("inf") if self._closed else now
            state = self._state()
            running = engine.running()
            self.is_elsewhere = running is not None and running.report(state)
            if not self.is_elsewhere:
                self._printed.show(state, now)

    def _show_later(self, delay_s: float) -> None:
        """A bar that stands still from now on shall not stand where it was."""
        if not self._is_due:
            self._is_due = True
            timer = threading.Timer(delay_s, self._show_due)
            timer.daemon = True
            timer.start()

    def _show_due(self) -> None:
        self._is_due = False
        self.show()

    def line(self) -> str:
        """Return it as text."""
        with self._lock:
            if not self._closed:
                self._ended = monotonic()
            return bar_text.line(self._state())

    def _state(self) -> State:
        elapsed = self._ended - self._began
        failures = f"{self._failures} failed" if self._failures else ""
        return State(
            cell=self._cell,
            source="",
            bar=self._name,
            description=self._description,
            n=self._n,
            total=self._total,
            unit=self._unit,
            elapsed=elapsed,
            rate=self._n / elapsed if elapsed > 0 else 0,
            postfix="" if self._closed else failures,
            failed=failures if self._closed else "",
            closed=self._closed,
            leave=self._leave,
        )


class _Printed:
    """The bar on stderr: a line that is drawn over where that is a terminal, else lines."""

    def __init__(self) -> None:
        self._width = 0
        self._printed_at = monotonic()

    def show(self, state: State, now: float) -> None:
        """Print a state."""
        stream = sys.stderr
        if stream is None:
            return
        try:
            if stream.isatty():
                self._redraw(stream, state)
            elif (state.closed and state.leave) or (not state.closed and now - self._printed_at >= LINE_S):
                self._printed_at = now
                stream.write(bar_text.line(state) + "\n")
                stream.flush()
        except (OSError, ValueError):  # closed: there is nobody to tell
            pass

    def _redraw(self, stream: TextIO, state: State) -> None:
        text = bar_text.line(state) if state.leave or not state.closed else ""
        stream.write("\r" + text.ljust(self._width))
        self._width = len(text)
        if state.closed:
            stream.write("\n" if state.leave else "\r")
        stream.flush()
