"""One run of the benchmark: a session, the directory that it works in, and the machine's limits in between."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbactors.benchmark.subject import Runtime, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from nbactors.benchmark.limits import Limits


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    seconds: float = 1.0  # the length of one round of a rate
    rounds: int = 3  # of a rate; the median counts
    starts: int = 7  # fresh processes, or actors, for each figure of a start; the median counts


class Bench:
    """Measures one runtime, in a directory of its own where nothing of it runs yet.

    To be closed, which ends the session and removes the directory.

    Args:
        effort: How much is measured.
        limits: Where the machine's limits are measured, or None to take none beside the work.
        runtime: What is measured.
    """

    def __init__(self, effort: Effort, limits: Limits | None = None, runtime: Runtime | None = None) -> None:
        self.effort = effort
        self.limits = limits
        self.runtime = runtime or Runtime()
        self.directory = tempfile.mkdtemp(prefix="nb-")  # a short path: sockets lie in it
        self.init_s = 0.0  # of the session
        self._session: Subject | None = None

    def close(self) -> None:
        """End the session, and leave nothing behind."""
        self.end_session()
        shutil.rmtree(self.directory, ignore_errors=True)

    def another(self) -> Self:
        """Return one with a directory of its own, which takes no limits."""
        return type(self)(self.effort, None, self.runtime)

    def session(self) -> Subject:
        """Return the process whose session the rates share; started on first use."""
        if self._session is None:
            self._session = self.process()
            self.init_s = self._session.run("init")
        return self._session

    def end_session(self) -> None:
        """End the session, so that the next use starts a fresh one."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def process(self) -> Subject:
        """Return a fresh process that has no session yet."""
        return Subject(self.runtime, self.environment())

    def environment(self) -> dict[str, str]:
        """Return the variables for a process that works here."""
        return self.runtime.environment(self.directory)

    def between_limits(
        self, name: str | None, work: Callable[[], float], rounds: int
    ) -> tuple[list[float], float | None]:
        """Do the work for some rounds, measuring the named limit before, between and after; return its median too."""
        done, found = [], []
        for number in range(rounds + 1):
            if number:
                done.append(work())
            if self.limits is not None and name is not None:
                found.append(self.limits.measure(name))
        known = [limit for limit in found if limit is not None]
        return done, statistics.median(known) if known else None
