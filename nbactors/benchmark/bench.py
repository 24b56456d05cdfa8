"""One run of the benchmark: a session, its directory, and measurements of the machine's limits in between."""

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
    """Number and length of the measurements."""

    seconds: float = 1.0  # length of one round of a rate
    rounds: int = 3  # rounds of a rate, whose median is the result
    starts: int = 7  # fresh processes, or actors, for each figure of a start; the median is the result


class Bench:
    """Measures one runtime in a new directory, where no process of the runtime runs yet.

    The caller must call `close`, which ends the session and removes the directory. Used by the benchmark's main thread.

    Args:
        effort: Number and length of the measurements.
        limits: Measures the machine's limits; None to measure none.
        runtime: The measured runtime; nbactors by default.
    """

    def __init__(self, effort: Effort, limits: Limits | None = None, runtime: Runtime | None = None) -> None:
        self.effort = effort
        self.limits = limits
        self.runtime = runtime or Runtime()
        self.directory = tempfile.mkdtemp(prefix="nb-")  # short, since a socket's path has at most 103 bytes
        self.init_s = 0.0  # seconds of the session's `init`
        self._session: Subject | None = None

    def close(self) -> None:
        """End the session and remove the directory."""
        self.end_session()
        shutil.rmtree(self.directory, ignore_errors=True)

    def another(self) -> Self:
        """Return a bench of the same runtime with another directory, which measures no limits."""
        return type(self)(self.effort, None, self.runtime)

    def session(self) -> Subject:
        """Return the process whose session all rates share; started at the first use."""
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
        """Return a new process that has no session yet."""
        return Subject(self.runtime, self.environment())

    def environment(self) -> dict[str, str]:
        """Return the environment variables of a process that works in the directory."""
        return self.runtime.environment(self.directory)

    def between_limits(
        self, name: str | None, work: Callable[[], float], rounds: int
    ) -> tuple[list[float], float | None]:
        """Do the work `rounds` times, with the limit `name` in between. Return the results and the limit's median."""
        done, found = [], []
        for number in range(rounds + 1):
            if number:
                done.append(work())
            if self.limits is not None and name is not None:
                found.append(self.limits.measure(name))
        known = [limit for limit in found if limit is not None]
        return done, statistics.median(known) if known else None
