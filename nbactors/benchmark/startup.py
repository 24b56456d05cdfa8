"""How long it takes until there is something to work with. Each figure from fresh processes."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from nbactors.benchmark import limits
from nbactors.benchmark.measurement import Measurement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbactors.benchmark.bench import Bench
    from nbactors.benchmark.subject import Subject


def init_cold(bench: Bench) -> Measurement:
    """Time `init()` where nothing of the runtime runs."""
    times = []
    for _ in range(bench.effort.starts):
        with bench.fresh() as place, place.process() as subject:
            times.append(_init(subject))
    return Measurement.of(times)


def init_warm(bench: Bench) -> Measurement:
    """Time `init()` where another session keeps the node up."""
    if bench.runtime.module == "ray":
        return Measurement(note="not measured: without a cluster of its own Ray starts one per session")
    times = []
    with bench.fresh() as place, place.process() as first:
        _init(first)
        for _ in range(bench.effort.starts):
            with place.process() as subject:
                times.append(_init(subject))
    return Measurement.of(times)


def import_over_python(bench: Bench) -> Measurement:
    """Time the import as the difference of two processes, with and without it."""
    with bench.fresh() as place:
        environ = bench.runtime.environment("", place.marked.name)
        differences = []
        for _ in range(bench.effort.starts + 1):
            bare = _python(bench.runtime.python, "pass", environ)
            differences.append(_python(bench.runtime.python, f"import {bench.runtime.module}", environ) - bare)
    # The first pair compiles and reads the files from disk.
    return Measurement.of(differences[1:])


def actor_start(bench: Bench) -> Measurement:
    """Time the creation of an actor until its first call is answered, in one session."""
    session = bench.session()
    first: float = session.run("actor_start")
    times, limit = bench.between_limits(limits.FORK, lambda: session.run("actor_start"), bench.effort.starts)
    return Measurement.of(times, limit, f"the session's first took {first:.3f} s")


def _init(subject: Subject) -> float:
    taken: float = subject.run("init")
    return taken


def _python(python: str, code: str, environ: Mapping[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run([python, "-c", code], env=dict(environ), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
