"""How much memory it takes. The session itself is left out: it is the user's own process."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import psutil

from nbactors.benchmark.measurement import Measurement

if TYPE_CHECKING:
    from nbactors.benchmark.bench import Bench, FreshPlace

MB = 1e6
SETTLE_S = 1.0
SETTLE_LIMIT_S = 20.0
STILL_MB = 0.5


def without_actors(bench: Bench) -> Measurement:
    """Add up the resident memory of all processes of the runtime but the session, before there is any actor."""
    with bench.fresh() as place, place.process() as subject:
        subject.run("init")
        memory = _settled(place, subject.pid)
    resident = sum(one.rss for one in memory) / MB
    # Only Linux tells the proportional size, in which a page that n processes share counts 1/n in each.
    shared_out = sum(getattr(one, "pss", 0) for one in memory) / MB
    pss = f", {shared_out:.1f} MB with shared pages counted once" if shared_out else ""
    return Measurement(resident, note=f"resident memory of {len(memory)} processes, without the session's own{pss}")


def _settled(place: FreshPlace, session: int) -> list[Any]:
    """Return the memory of each process once it no longer grows: what `init` starts in the background has started."""
    before = -1.0
    deadline = time.monotonic() + SETTLE_LIMIT_S
    while True:
        memory = []
        for process in place.marked.processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # some only help to start others
                if process.pid != session:
                    memory.append(process.memory_full_info())
        now = sum(one.rss for one in memory) / MB
        if abs(now - before) < STILL_MB or time.monotonic() > deadline:
            return memory
        before = now
        time.sleep(SETTLE_S)


def idle_actor(bench: Bench) -> Measurement:
    """Measure the private memory of one actor that has answered one call."""
    actor = psutil.Process(bench.session().run("idle_actor"))
    memory = actor.memory_full_info()
    return Measurement(memory.uss / MB, note=f"resident {memory.rss / MB:.1f} MB, most of it shared")
