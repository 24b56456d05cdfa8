"""`progress`: a bar that counts calls as they return.

In a notebook the bar is live under the cell that made it, and stays there. In a terminal it redraws its line, and in a
log file it writes a line now and then.
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
    """Show a bar that counts finished calls. Returns at once; the bar goes on by itself.

    ::

        for ref in progress(refs, "resize"):         # each as soon as its call has returned
            image = nbactors.get(ref)

        images = progress(refs, "resize").get()      # all values, in the order of `refs`

    A failed call counts as finished, and the bar says how many have failed.

    Args:
        refs: A list of references, of generators or of both; a dict with such values; or one generator, whose items
            are counted as they are read.
        desc: The text in front of the bar.
        total: How many items one generator will yield, if that is known. For a list or dict it is the length.
        unit: The name of one counted thing.
        leave: Whether the bar remains at its end. With failed calls it remains in any case.

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
    return Progress(refs if isinstance(refs, Mapping) else things, ShownBar(desc or "", total, unit, leave))


class Progress:
    """The result of `progress`: iterable once, in the order in which the calls return.

    Iterating gives references; for a dict, pairs of key and reference. A generator in a list comes when it has ended.
    """

    def __init__(self, refs: Any, bar: ShownBar) -> None:
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
        """Return the number of references and generators."""
        return len(self._refs)

    def __iter__(self) -> Iterator[Any]:
        """Wait for the next call that returns. An interrupt ends only the wait: the calls and the bar go on."""
        if isinstance(self._refs, ObjectRefGenerator):
            return self._items(self._refs)
        pairs = list(self._refs.items()) if isinstance(self._refs, Mapping) else [(ref, ref) for ref in self._refs]
        return self._completed(pairs, isinstance(self._refs, Mapping))

    def get(self, timeout: float | None = None) -> Any:
        """Wait for all calls and return their values: a list in the order given, or a dict.

        The value of a generator is the list of its values.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            Exception: The error of the first failed call in that order.
            GetTimeoutError: Not all calls have returned in time.
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
        # One by one: the values of each generator are a list of their own.
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
        """Show nothing as a cell's result where the bar is under the cell already."""
        if not self._bar.is_elsewhere:
            print(repr(self))

    def __repr__(self) -> str:
        return f"<progress: {self._bar.line()}>"


def _done(thing: Any) -> ObjectRef[Any]:
    """Return a reference that is ready when the call has returned, or the generator has ended."""
    return thing.completed() if isinstance(thing, ObjectRefGenerator) else thing


class ShownBar(BarReporter):
    """The bar. Methods: any thread, mostly the thread that receives answers, which must not be held up."""

    def __init__(self, description: str, total: int | None, unit: str, leave: bool) -> None:
        cell, name = engine.current().calling_cell(), f"progress-{next(_names)}"
        self._state = BarState(cell, "", name, description=description, total=total, unit=unit, leave=leave)
        self._began = monotonic()
        self._failures = 0
        self._lock = threading.RLock()
        self._printed = _Printed()
        self.is_elsewhere = False
        """Whether a notebook shows the bar."""

    def count(self, failed: bool) -> None:
        """Count one more call. With the last one the bar ends."""
        with self._lock:
            self._failures += failed
            self._state = self._state._replace(n=self._state.n + 1)
            if self._state.n == self._state.total:
                self.end()
            else:
                self.changed()

    def change(self, **fields: Any) -> None:
        """Change fields of the state, such as `n` and `description`. Does nothing after the end."""
        with self._lock:
            if not self._state.closed:
                self._state = self._state._replace(**fields)
                self.changed()

    def show(self) -> None:
        """Show the bar before anything is counted."""
        with self._lock:
            self.changed()

    def close(self) -> None:
        """End the bar: no more calls will be counted."""
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
    """The bar on stderr: in a terminal one line that is redrawn, else lines now and then."""

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
