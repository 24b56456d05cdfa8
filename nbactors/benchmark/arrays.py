"""How fast a large array travels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

from nbactors.benchmark import limits
from nbactors.benchmark.measurement import Measurement

if TYPE_CHECKING:
    from nbactors.benchmark.bench import Bench

SESSIONS = 2
LATER = 5
COPIES = 5


def large_array(bench: Bench) -> dict[str, Measurement]:
    """Measure the first put of an array in a session, later puts, and a get of it in another process."""
    size = bench.effort.array_bytes
    needed = COPIES * size
    free = psutil.virtual_memory().available
    if free < needed:
        note = f"not measured: needs {needed / 1e9:.1f} GB of free memory, {free / 1e9:.1f} GB are free"
        return dict.fromkeys(("put_array_first", "put_array_later", "get_array"), Measurement(note=note))
    first, fresh_limit = _sessions(bench, limits.FRESH_FILE)
    later, mapped_limit = _sessions(bench, limits.MAPPED)
    bench.limit(limits.FRESH_PAGES)
    sessions = first + later
    kind = "" if sessions[0]["kind"] == "numpy" else "a bytearray, for want of numpy"
    firsts = [size / 1e9 / session["first"] for session in sessions]
    laters = [size / 1e9 / seconds for session in sessions for seconds in session["later"]]
    gets = [seconds * 1000 for session in sessions for seconds in session["gets"]]
    return {
        "put_array_first": Measurement.of(firsts, fresh_limit, kind),
        "put_array_later": Measurement.of(laters, mapped_limit, kind),
        "get_array": Measurement.of(gets, note=kind),
    }


def _sessions(bench: Bench, limit: str) -> tuple[list[dict[str, Any]], float | None]:
    """Run fresh sessions, each with one first put, between measurements of a limit."""
    done: list[dict[str, Any]] = []

    def session() -> float:
        with bench.fresh() as place, place.process() as subject:
            subject.run("init")
            done.append(subject.run("large_array", size=bench.effort.array_bytes, repeats=LATER))
        return 0.0

    _, value = bench.between_limits(limit, session, SESSIONS)
    return done, value
