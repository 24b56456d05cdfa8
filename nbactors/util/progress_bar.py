"""`progress`: a bar for calls that run.

In a notebook it is a live bar under the cell, in a terminal one that redraws its line, and elsewhere (a log file) a
line now and then. Under the cell, as in a worker's output, it stays where it began, whatever runs later.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

from nbactors import engine
from nbactors.api import get, wait
from nbactors.frontend.bar import BarReporter, BarState, LinePace, mean_rate
from nbactors.frontend.text_stream import is_terminal, write_now
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.views.bar import line

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
        leave: Whether the bar remains when all are done. With failed calls it remains in any case.

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


class _Bar(BarReporter):
    """A bar that counts calls. Methods: any thread, mostly the one that receives answers, which must not be held up."""

    def __init__(self, description: str, total: int | None, unit: str, leave: bool) -> None:
        cell, name = engine.current().calling_cell(), f"progress-{next(_names)}"
        self._state = BarState(cell, "", name, description=description, total=total, unit=unit, leave=leave)
        self._began = monotonic()
        self._failures = 0
        self._lock = threading.RLock()
        self._printed = _Printed()
        self.is_elsewhere = False
        """Whether a notebook shows it."""

    def count(self, failed: bool) -> None:
        """Count one more as done; with the last one the bar ends."""
        with self._lock:
            self._failures += failed
            self._state = self._state._replace(n=self._state.n + 1)
            if self._state.n == self._state.total:
                self.end()
            else:
                self.changed()

    def show(self) -> None:
        """Show the bar before anything is counted."""
        with self._lock:
            self.changed()

    def close(self) -> None:
        """End the bar: nothing more comes."""
        with self._lock:
            self.end()

    def line(self) -> str:
        """Return the bar as text."""
        with self._lock:
            self._measure(False)
            return line(self._state)

    def report(self, closed: bool) -> None:
        """See the base class. Under the lock."""
        self._measure(closed)
        running = engine.running()
        self.is_elsewhere = running is not None and running.report_bar(self._state)
        if not self.is_elsewhere:
            self._printed.show(self._state)

    def _measure(self, closed: bool) -> None:
        """Bring the state up to date, unless the bar has ended."""
        if self._state.closed:
            return
        elapsed, failures = monotonic() - self._began, f"{self._failures} failed" if self._failures else ""
        self._state = self._state._replace(
            elapsed=elapsed,
            rate=mean_rate(self._state.n, elapsed),
            postfix="" if closed else failures,
            failed=failures if closed else "",
            closed=closed,
        )

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """See the base class."""

        def call_back() -> None:
            with self._lock:
                callback()

        timer = threading.Timer(delay, call_back)
        timer.daemon = True
        timer.start()


class _Printed:
    """The bar on stderr: one line that is drawn over where that is a terminal, else lines now and then."""

    def __init__(self) -> None:
        self._width = 0
        self._pace = LinePace()

    def show(self, state: BarState) -> None:
        """Print a state."""
        if not is_terminal(sys.stderr):
            if self._pace.is_due(state):
                write_now(sys.stderr, line(state) + "\n")
            return
        text = "" if state.is_removed else line(state)
        end = "" if not state.closed else "\r" if state.is_removed else "\n"
        write_now(sys.stderr, "\r" + text.ljust(self._width) + end)
        self._width = len(text)
