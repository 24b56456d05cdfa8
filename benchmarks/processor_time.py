"""The processor time of a call: that of all processes, pinned to one core, beside the standard library's."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.bench import MarkedBench, Measured
from benchmarks.standard_library import MANAGER, PIPE
from nbactors.benchmark.rows import Measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.bench import MoreEffort
    from nbactors.benchmark.subject import Subject

PER_CALL = {kind: f"{kind}, processor time of a call" for kind in (MANAGER, PIPE)}
BUSY = {kind: f"{kind}, one at a time, cores busy" for kind in (MANAGER, PIPE)}

WARM_S = 0.3
"""Seconds of work before the measurement: connections are made, and what starts in the background has started."""


def per_call(of: str, **arguments: Any) -> Callable[[MarkedBench], Measurement]:
    """Return a function that measures the processor time of a call, in microseconds, beside the standard library's."""

    def measure(bench: MarkedBench) -> Measurement:
        if not hasattr(os, "sched_setaffinity"):
            return Measurement(note="not measured: this platform pins no process to a core")
        return _beside(bench, PER_CALL, _per_call, of, **arguments)

    return measure


def busy(bench: MarkedBench) -> Measurement:
    """Measure the rate of calls, one at a time, while another process computes on each core."""
    return _beside(bench, BUSY, _busy, "one_at_a_time", kind="plain")


def limits(effort: MoreEffort) -> dict[str, Callable[[], float | None]]:
    """Return functions that measure the standard library, by the names of the figures; see `Limits`."""
    found: dict[str, Callable[[], float | None]] = {}
    for kind in (MANAGER, PIPE):
        found[PER_CALL[kind]] = partial(_of_library, effort, kind, _per_call)
        found[BUSY[kind]] = partial(_of_library, effort, kind, _busy)
    return found


def _beside(
    bench: MarkedBench, names: Mapping[str, str], ready: Callable[..., Callable[[], float]], of: str, **arguments: Any
) -> Measurement:
    with closing(bench.another()) as place, closing(place.process()) as session:
        measure = ready(place, session, of, **arguments)

        def once() -> float:
            if bench.limits is not None:
                bench.limits.measure(names[PIPE])
            return measure()

        return Measurement.of(*bench.between_limits(names[MANAGER], once, bench.effort.rounds))


def _of_library(effort: MoreEffort, kind: str, ready: Callable[..., Callable[[], float]]) -> float | None:
    script = str(Path(__file__).with_name("standard_library.py"))
    with (
        closing(MarkedBench(effort, None, Measured(kind, sys.executable, script))) as place,
        closing(place.process()) as session,
    ):
        return ready(place, session, "one_at_a_time")()


def _per_call(place: MarkedBench, session: Subject, of: str, **arguments: Any) -> Callable[[], float]:
    """Return a function that measures how many microseconds of processor time all processes take for a call."""
    # The session has one thread yet, and all that it starts inherits the core.
    os.sched_setaffinity(session.pid, {max(os.sched_getaffinity(0))})
    session.run("rate", of=of, seconds=min(WARM_S, place.effort.seconds), **arguments)

    def measure() -> float:
        before = _processor_time(place)
        count: float = session.run("count", of=of, seconds=place.effort.seconds, **arguments)
        return (_processor_time(place) - before) / count * 1e6

    return measure


def _busy(place: MarkedBench, session: Subject, of: str, **arguments: Any) -> Callable[[], float]:
    session.run("rate", of=of, seconds=min(WARM_S, place.effort.seconds), **arguments)

    def measure() -> float:
        with _cores_busy():
            return float(session.run("rate", of=of, seconds=place.effort.seconds, **arguments))

    return measure


def _processor_time(place: MarkedBench) -> float:
    """Return the seconds of processor time that the living processes of a session have taken."""
    taken = 0.0
    for process in place.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            taken += times.user + times.system
    return taken


@contextlib.contextmanager
def _cores_busy() -> Iterator[None]:
    """Have a process compute for each core."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()
