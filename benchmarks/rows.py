"""The rows that `nbactors microbenchmark` does not have."""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
import subprocess
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks import copying, filing, processor_time
from nbactors.benchmark import limits
from nbactors.benchmark.rows import ROWS, Measurement, Row, rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.bench import MarkedBench, MoreEffort

MB = 1e6
SETTLE_S = 1.0
SETTLE_LIMIT_S = 20.0
STILL_MB = 0.5
SESSIONS = 2
LATER = 5
COPIES = 5
FIRST_ITEMS = 200
HELD = 20_000
SMALL_STORE = 100 << 20  # Ray takes no less


def init_warm(bench: MarkedBench) -> Measurement:
    """Time `init()` while another session keeps the node running."""
    if bench.runtime.module == "ray":
        return Measurement(note="not measured: without a cluster of its own Ray starts one per session")
    times = []
    with closing(bench.another()) as place:
        place.session()
        for _ in range(bench.effort.starts):
            with closing(place.process()) as subject:
                times.append(subject.run("init"))
    return Measurement.of(times)


def import_over_python(bench: MarkedBench) -> Measurement:
    """Time the import as the difference between two processes, with and without the import."""
    environ, python = bench.environment(), bench.runtime.python
    differences = []
    for _ in range(bench.effort.starts + 1):
        bare = _python(python, "pass", environ)
        differences.append(_python(python, f"import {bench.runtime.module}", environ) - bare)
    # The first pair compiles and reads the files from disk.
    return Measurement.of(differences[1:])


def _python(python: str, code: str, environ: Mapping[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run([python, "-c", code], env=dict(environ), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def without_actors(bench: MarkedBench) -> Measurement:
    """Add up the resident memory of all processes except the session's own, before the first actor."""
    with closing(bench.another()) as place:
        memory = _settled(place, place.session().pid)
    resident = sum(one.rss for one in memory) / MB
    # Only Linux has the proportional set size: in it a page that n processes share counts as 1/n in each process.
    shared_out = sum(getattr(one, "pss", 0) for one in memory) / MB
    pss = f", {shared_out:.1f} MB with shared pages counted once" if shared_out else ""
    return Measurement(resident, note=f"resident memory of {len(memory)} processes, without the session's own{pss}")


def _settled(place: MarkedBench, session: int) -> list[Any]:
    """Return the memory of each process when it no longer grows, since `init` starts processes in the background."""
    before = -1.0
    deadline = time.monotonic() + SETTLE_LIMIT_S
    while True:
        memory = []
        for process in place.processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # some processes only start others, and end
                if process.pid != session:
                    memory.append(process.memory_full_info())
        now = sum(one.rss for one in memory) / MB
        if abs(now - before) < STILL_MB or time.monotonic() > deadline:
            return memory
        before = now
        time.sleep(SETTLE_S)


def idle_actor(bench: MarkedBench) -> Measurement:
    """Measure the private memory of one actor that has answered one call."""
    actor = psutil.Process(bench.session().run("idle_actor"))
    memory = actor.memory_full_info()
    return Measurement(memory.uss / MB, note=f"resident {memory.rss / MB:.1f} MB, most of it shared")


def held(bench: MarkedBench, kind: str) -> Measurement:
    """Measure by how much the session's resident memory grows with each reference that it holds, in bytes."""
    with closing(bench.another()) as place:
        session = place.session()
        session.run("hold", kind=kind, count=HELD // 10)
        process = psutil.Process(session.pid)
        before = process.memory_info().rss
        session.run("hold", kind=kind, count=HELD)
        return Measurement((process.memory_info().rss - before) / HELD)


def first_item(bench: MarkedBench) -> Measurement:
    """Time the call of a generator method until its first item was read, in milliseconds."""
    seconds: list[float] = bench.session().run("first_item", repeats=FIRST_ITEMS)
    return Measurement.of([1000 * one for one in seconds])


def numeric(bench: MarkedBench, preload: bool) -> Measurement:
    """Time, in fresh sessions, the creation of ten actors that use numpy, with or without `init(preload=["numpy"])`."""
    if preload and bench.runtime.module == "ray":
        return Measurement(note="not measured: Ray preloads no modules")
    if importlib.util.find_spec("numpy") is None:
        return Measurement(note="not measured: there is no numpy")
    times = []
    for _ in range(bench.effort.starts):
        with closing(bench.another()) as place, closing(place.process()) as subject:
            times.append(subject.run("numeric", preload=preload))
    return Measurement.of(times)


def array(bench: MarkedBench, what: str, limit: str | None) -> Measurement:
    """Measure, in fresh sessions, the `first` put of a large array, `later` ones, or `gets` in another process."""
    size = bench.effort.array_bytes
    needed, free = COPIES * size, psutil.virtual_memory().available
    if free < needed:
        return Measurement(note=f"not measured: needs {needed / 1e9:.1f} GB of free memory, {free / 1e9:.1f} are free")
    sessions: list[dict[str, Any]] = []

    def session() -> float:
        with closing(bench.another()) as place:
            sessions.append(place.session().run("large_array", size=size, repeats=LATER))
        return 0.0

    _, value = bench.between_limits(limit, session, SESSIONS)
    kind = "" if sessions[0]["kind"] == "numpy" else "a bytearray, for want of numpy"
    if what == "first":
        return Measurement.of([size / 1e9 / one["first"] for one in sessions], value, kind)
    seconds = [second for one in sessions for second in one[what]]
    if what == "later":
        return Measurement.of([size / 1e9 / second for second in seconds], value, kind)
    return Measurement.of([second * 1000 for second in seconds], note=kind)


def spilled(bench: MarkedBench, what: str, limit: str) -> Measurement:
    """Measure, in fresh sessions whose store is small, the rate to `write` values to the disk, or to `read` them."""
    size, count, memory = _spilled(bench.effort)
    seconds: list[float] = []

    def session() -> float:
        with closing(bench.another()) as place, closing(place.process()) as subject:
            seconds.append(subject.run("spill", size=size, count=count, memory=memory)[what])
        return 0.0

    _, value = bench.between_limits(limit, session, bench.effort.rounds)
    return Measurement.of([size * count / 1e9 / second for second in seconds], value)


def _spilled(effort: MoreEffort) -> tuple[int, int, int]:
    """Return the size of a spilled value, the number of values, and the bytes of memory for them."""
    size = max(effort.array_bytes // 50, 1_000_000)
    return size, 50, max(24 * size, SMALL_STORE)


def fleet(bench: MarkedBench) -> Measurement:
    """Time the creation of many actors and one call of each."""
    count = bench.effort.fleet
    if bench.runtime.module == "ray":
        return _too_many(count)
    with closing(bench.another()) as place:
        created: float = place.session().run("fleet", count=count)
    return Measurement(created, note=f"{count} actors, each called once")


def fleet_calls(bench: MarkedBench) -> Measurement:
    """Return the rate of calls to one actor among many actors, divided by the rate without the others."""
    if bench.runtime.module == "ray":
        return _too_many(bench.effort.fleet)
    with closing(bench.another()) as place:
        session, seconds = place.session(), bench.effort.seconds
        call = partial(session.run, "rate", of="one_at_a_time", kind="plain")
        call(seconds=0)
        before = statistics.median(call(seconds=seconds) for _ in range(bench.effort.rounds))
        session.run("fleet", count=bench.effort.fleet)
        after = statistics.median(call(seconds=seconds) for _ in range(bench.effort.rounds))
    return Measurement(after / before, note=f"{after:,.0f} /s after, {before:,.0f} /s before")


def chain(bench: MarkedBench) -> Measurement:
    """Time a call through many async actors, each of which awaits the next one's answer before it gives its own."""
    count = bench.effort.fleet
    if bench.runtime.module == "ray":
        return _too_many(count)
    with closing(bench.another()) as place:
        first, again = place.session().run("chain", count=count)
    return Measurement(first, note=f"each link calls the next for the first time; again: {again:.3f} s")


def _too_many(count: int) -> Measurement:
    return Measurement(note=f"not measured: Ray needs some {count * 0.05:.0f} GB of memory for it")


MAPPED = "copy into mapped memory"
FRESH_FILE = "write to a fresh memory file"
DISK_WRITE = "write to the disk"
DISK_READ = "read from the disk"


def more_limits(effort: MoreEffort) -> dict[str, Callable[[], float | None]]:
    """Return the machine's limits for large values, in GB/s; see `Limits`."""
    size = effort.array_bytes
    value, count, memory = _spilled(effort)

    def per_gb(speed: float | None) -> float | None:
        return None if speed is None else speed / 1e9

    return {
        MAPPED: lambda: copying.into_mapped(size) / 1e9,
        FRESH_FILE: lambda: per_gb(copying.into_fresh_file(size)),
        DISK_WRITE: lambda: per_gb(filing.write(value, count)),
        DISK_READ: lambda: per_gb(filing.read(value, count, memory)),
        **processor_time.limits(effort),
    }


def all_rows(effort: MoreEffort) -> list[Row]:
    """Return all rows; those with many actors only if the effort's `fleet` is not 0."""
    many = limits.IN_FLIGHT
    sized = f"{effort.array_bytes / 1e6:,.0f} MB array"
    more: list[tuple[str, str, str, Callable[[Any], Measurement]]] = [
        ("init_warm", "init() in a fresh process, node already up", "s", init_warm),
        ("import", "import, over bare Python", "s", import_over_python),
        ("memory", "memory of all that runs, no actor yet", "MB", without_actors),
        ("actor_memory", "private memory (USS) of one idle actor", "MB", idle_actor),
        *(
            (f"held_{kind}", f"memory per reference to {what}", "B", partial(held, kind=kind))
            for kind, what in (("call", "a call that waits"), ("result", "a small result"), ("put", "a small put"))
        ),
        ("numpy_actors", "10 actors that use numpy", "s", partial(numeric, preload=False)),
        ("numpy_preloaded", "10 actors that use numpy, preloaded", "s", partial(numeric, preload=True)),
        (
            "group_of_threads",
            "concurrency group of 4 threads, 1,000 in flight",
            "/s",
            rate("in_flight", many, kind="group of threads"),
        ),
        (
            "group_on_a_loop",
            "concurrency group of an async actor, 1,000 in flight",
            "/s",
            rate("in_flight", many, kind="group on a loop"),
        ),
        ("n_to_n", "4 actors call 4 others, 1,000 in flight each", "/s", rate("among_actors", many)),
        *(
            (f"cpu_{key}", f"processor time of {work}, on one core", "us", processor_time.per_call(of, **arguments))
            for key, work, of, arguments in (
                ("plain", "a call", "one_at_a_time", {"kind": "plain"}),
                ("async", "a call of an async actor", "one_at_a_time", {"kind": "async"}),
                ("threads", "a call of a threaded actor", "one_at_a_time", {"kind": "threads"}),
                ("task", "a task", "one_at_a_time", {"kind": "task"}),
                ("item", "an item of a generator", "items", {}),
                ("failure", "a failed call", "failing", {}),
            )
        ),
        ("busy_sequential", "1:1 calls, one at a time, cores busy", "/s", processor_time.busy),
        ("stream_first", "first item of a generator", "ms", first_item),
        ("stream_large", "1 MiB items from a generator", "GB/s", rate("large_items")),
        ("put_array_first", f"put of an {sized}, first", "GB/s", partial(array, what="first", limit=FRESH_FILE)),
        ("put_array_later", f"put of an {sized}, later", "GB/s", partial(array, what="later", limit=MAPPED)),
        ("get_array", f"get of the {sized} in another process", "ms", partial(array, what="gets", limit=None)),
    ]
    value = f"{_spilled(effort)[0] / 1e6:,.0f} MB values"
    more += [
        ("spill_write", f"{value} put into a full store", "GB/s", partial(spilled, what="write", limit=DISK_WRITE)),
        ("spill_read", f"{value} got from the disk", "GB/s", partial(spilled, what="read", limit=DISK_READ)),
    ]
    size = effort.fleet
    if size:
        more += [
            ("fleet", f"{size:,} live actors, created and called", "s", fleet),
            ("fleet_calls", f"call rate among {size:,} actors / alone", "x", fleet_calls),
            ("fleet_chain", f"chain of {size:,} async actors, each awaiting the next", "s", chain),
        ]
    return [*ROWS, *(Row(*one) for one in more)]
