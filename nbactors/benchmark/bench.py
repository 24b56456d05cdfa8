"""One runtime while it is measured: its session, its files, and the machine's limits taken in between."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbactors.benchmark.marked import Marked
from nbactors.benchmark.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from nbactors.benchmark.limits import Limits
    from nbactors.benchmark.runtime import Runtime


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        seconds: Length of one round of a rate.
        rounds: Rounds of a rate; the median counts.
        starts: Fresh processes (or actors) for each figure of a start; the median counts.
        array_bytes: Size of the large array.
        fleet: Live actors of the row with many of them, 0 to leave it out.
    """

    seconds: float = 1.0
    rounds: int = 3
    starts: int = 7
    array_bytes: int = 800_000_000
    fleet: int = 0


class Bench:
    """Measures one runtime. A context manager: leaving it ends its session and removes its files.

    Args:
        runtime: What is measured.
        limits: Where the machine's limits are measured, or None to take none beside the work.
        effort: How much is measured.
    """

    def __init__(self, runtime: Runtime, limits: Limits | None, effort: Effort) -> None:
        self.runtime = runtime
        self.effort = effort
        self._limits = limits
        self._shared: tuple[Subject, Marked, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the shared session, so that the next use starts a fresh one."""
        if self._shared is not None:
            subject, marked, directory = self._shared
            self._shared = None
            try:
                subject.__exit__(None, None, None)
            finally:
                _clear(marked, directory)

    def session(self) -> Subject:
        """Return the process whose session the rates share; started on first use."""
        if self._shared is None:
            marked, directory = Marked(), _directory()
            self._shared = (self.process(directory, marked), marked, directory)
            self._shared[0].run("init")
        return self._shared[0]

    def process(self, directory: str, marked: Marked) -> Subject:
        """Return a fresh process without a session yet; `marked` finds it and all that it starts."""
        return Subject(self.runtime.python, self.runtime.module, self.runtime.environment(directory, marked.name))

    def fresh(self) -> FreshPlace:
        """Return a place where nothing of the runtime runs."""
        return FreshPlace(self)

    def between_limits(
        self, name: str | None, work: Callable[[], float], rounds: int
    ) -> tuple[list[float], float | None]:
        """Do the work for some rounds, measuring the named limit before, between and after; return its median too."""
        limits = [self.limit(name)]
        done = []
        for _ in range(rounds):
            done.append(work())
            limits.append(self.limit(name))
        known = [limit for limit in limits if limit is not None]
        return done, statistics.median(known) if known else None

    def limit(self, name: str | None) -> float | None:
        """Measure the named limit once; None where limits are not taken."""
        return None if self._limits is None or name is None else self._limits.measure(name)


class FreshPlace:
    """A directory of the runtime's own where nothing runs yet. A context manager: ends what runs there."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._directory = _directory()
        self.marked = Marked()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _clear(self.marked, self._directory)

    def process(self) -> Subject:
        """Return a fresh process without a session yet."""
        return self._bench.process(self._directory, self.marked)


def _directory() -> str:
    """Return a new directory. Its path is short: sockets lie in it, whose paths must be."""
    return tempfile.mkdtemp(prefix="nb-")


def _clear(marked: Marked, directory: str) -> None:
    marked.end()
    shutil.rmtree(directory, ignore_errors=True)
