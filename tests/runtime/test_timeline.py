"""`nbactors.timeline`, checked against the rules of Chrome's "Trace Event Format", which Perfetto reads."""

from __future__ import annotations

import json
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbactors as ray
from nbactors.testing import eventually
from nbactors.util import state

Event = dict[str, Any]
FIELDS = {
    "X": {"name", "cat", "pid", "tid", "ts", "dur", "args"},
    "b": {"name", "cat", "pid", "tid", "ts", "id", "args"},
    "e": {"name", "cat", "pid", "tid", "ts", "id", "args"},
    "s": {"name", "cat", "pid", "tid", "ts", "id", "args"},
    "f": {"name", "cat", "pid", "tid", "ts", "id", "args", "bp"},
    "i": {"name", "cat", "pid", "tid", "ts", "s", "args"},
    "M": {"name", "pid", "tid", "ts", "args"},
}


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    ray.init(num_cpus=4)
    yield
    ray.shutdown()


@ray.remote
def child(path: str) -> None:
    with open(path) as gate:
        gate.read()


@ray.remote
def parent(path: str) -> None:
    ray.get(child.remote(path))


@ray.remote(max_restarts=1)
class Mortal:
    def pid(self) -> int:
        return os.getpid()


def check_format(events: list[Event]) -> None:
    """Check the rules for each phase: fields, pairs, nesting on a track, and slices at the ends of arrows."""
    tracks: defaultdict[tuple[int, int], list[Event]] = defaultdict(list)
    pairs: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        phase = event["ph"]
        assert set(event) - {"ph"} >= FIELDS[phase] - ({"s"} if phase != "i" else set())
        assert isinstance(event["ts"], int)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if phase == "X":
            assert event["dur"] >= 0
            tracks[event["pid"], event["tid"]].append(event)
        elif phase in "besf":
            pairs[event["cat"], event["id"]].append(event)
    for halves in pairs.values():
        assert len(halves) == 2
        begin, end = sorted(halves, key=lambda half: half["ph"] in "ef")
        assert begin["ph"] + end["ph"] in ("be", "sf")
        assert begin["ts"] <= end["ts"]
        if begin["ph"] == "s":
            for half in (begin, end):
                assert any(_holds(slice_, half["ts"]) for slice_ in tracks[half["pid"], half["tid"]])
    for slices in tracks.values():
        open_until: list[int] = []
        for slice_ in sorted(slices, key=lambda slice_: (slice_["ts"], -slice_["dur"])):
            while open_until and open_until[-1] <= slice_["ts"]:
                open_until.pop()
            end = slice_["ts"] + slice_["dur"]
            assert not open_until or end <= open_until[-1], "a slice is within another one, or behind it"
            open_until.append(end)


def _holds(slice_: Event, moment: int) -> bool:
    return bool(slice_["ts"] <= moment <= slice_["ts"] + slice_["dur"])


def has_ended(*names: str) -> bool:
    return {row.name for row in own_rows() if row.state == "FINISHED"} >= set(names)


def own_rows() -> state.Rows:
    """Return the calls of this session."""
    return state.list_tasks(filters=[("job_id", "=", ray.get_runtime_context().get_job_id())], limit=1000)


def test_the_trace_of_calls_keeps_the_rules_of_the_format(tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    ref = parent.remote(gate)
    with open(gate, "w"):
        pass
    ray.get(ref)
    mortal = Mortal.remote()
    os.kill(ray.get(mortal.pid.remote()), signal.SIGKILL)
    eventually(lambda: state.get_actor(mortal._actor_id.hex()).num_restarts == 1)
    eventually(lambda: has_ended("parent", "child", "Mortal.__init__"))
    path = tmp_path / "trace.json"
    assert ray.timeline(str(path)) is None
    events = json.loads(path.read_text())
    check_format(events)
    names = [event["name"] for event in events if event["ph"] == "X"]
    assert {"parent", "child", "submit parent", "submit Mortal.__init__"} <= set(names)
    assert "child waits" in [event["name"] for event in events if event["ph"] == "b"]
    assert "Mortal RESTARTING" in [event["name"] for event in events if event["ph"] == "i"]
    arrows = {event["id"]: event for event in events if event["ph"] == "s"}
    own = {row.task_id for row in own_rows()}  # the node may also know calls of earlier sessions
    tasks = [event for event in events if event["ph"] == "X" and event["cat"] == "task"]
    calls = {event["args"]["task_id"]: event for event in tasks if event["args"]["task_id"] in own}
    (made,) = [task_id for task_id, event in calls.items() if event["name"] == "child"]
    (making,) = [event for event in calls.values() if event["name"] == "parent"]
    assert arrows[made]["pid"] == making["pid"], "the arrow begins in the call that has made it"
    waits = [event for event in events if event["ph"] == "X" and event["name"] == "ray.get"]
    (wait,) = [event for event in waits if (event["pid"], event["tid"]) == (making["pid"], making["tid"])]
    assert making["ts"] <= wait["ts"] <= wait["ts"] + wait["dur"] <= making["ts"] + making["dur"]


def test_spilled_values_are_in_the_trace() -> None:
    ray.shutdown()
    ray.init(num_cpus=1, object_store_memory=32 << 20)
    refs = [ray.put(bytes(8 << 20)) for _ in range(8)]
    assert len(ray.get(refs[0])) == 8 << 20

    def moves() -> list[Event]:
        events = ray.timeline()
        assert events is not None
        check_format(events)
        own = [event for event in events if event.get("cat") == "store" and event["pid"] == os.getpid()]
        return own if {event["name"].split()[0] for event in own} == {"spill", "restore"} else []

    assert {event["ph"] for event in eventually(moves)} == {"b", "e"}


def test_calls_at_the_same_time_have_tracks_of_their_own() -> None:
    @ray.remote(max_concurrency=4)
    class Waiter:
        def __init__(self) -> None:
            import threading

            self.barrier = threading.Barrier(4)

        def meet(self) -> None:
            self.barrier.wait()

    waiter = Waiter.remote()
    ray.get([waiter.meet.remote() for _ in range(4)])
    eventually(lambda: has_ended("Waiter.meet"))
    events = ray.timeline()
    assert events is not None
    check_format(events)
    slices = [event for event in events if event["name"] == "Waiter.meet" and event["ph"] == "X"]
    own = waiter._actor_id.hex()
    tracks = {(event["pid"], event["tid"]) for event in slices if event["args"]["actor_id"] == own}
    assert len(tracks) == 4
