"""What has ended leaves nothing behind in a session that lives on: no object, no entry of a table, no descriptor.

Each case is done a few times, then as often again thrice; there must be no more objects of ours afterwards than before.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import nbactors as ray
from nbactors import engine
from nbactors.testing import eventually

pytestmark = pytest.mark.slow

CYCLES = 5

BUILT_IN = (dict, list, set, tuple, frozenset)


@pytest.fixture(scope="module", autouse=True)
def _session() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


@ray.remote(num_cpus=0)
class Actor:
    def __init__(self, *_: Any) -> None:
        pass

    def one(self, *_: Any) -> int:
        return 1

    def puts(self) -> Any:
        return [ray.put(1)]

    def items(self, count: int) -> Iterator[int]:
        yield from range(count)

    def fails(self) -> None:
        raise KeyError("on purpose")

    def crash(self) -> None:
        os._exit(1)

    def large(self) -> bytes:
        return bytes(200_000)


@ray.remote(num_cpus=0)
class Latch:
    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def hold(self) -> None:
        await self.event.wait()

    async def one(self) -> int:
        return 1


@ray.remote(num_cpus=0)
def task(*_: Any) -> int:
    return 1


class Stage:
    """What the cases share, so that only what they do themselves can grow."""

    def __init__(self) -> None:
        self.actor = Actor.remote()
        self.latch = Latch.remote()
        self.held = self.latch.hold.remote()
        ray.get([self.actor.one.remote(), self.latch.one.remote()])


@pytest.fixture(scope="module")
def stage(_session: None) -> Iterator[Stage]:
    made = [Stage()]
    yield made[0]
    made.clear()


def call(stage: Stage) -> None:
    ray.get(stage.actor.one.remote())


def call_with_a_time_limit(stage: Stage) -> None:
    for _ in range(100):
        ray.get(stage.actor.one.options(timeout_s=3600).remote())


def call_that_fails(stage: Stage) -> None:
    with pytest.raises(KeyError, match="on purpose"):
        ray.get(stage.actor.fails.remote())


def task_with_a_reference(stage: Stage) -> None:
    ray.get(task.remote(stage.actor.one.remote()))


def large_value(stage: Stage) -> None:
    ray.get(stage.actor.one.remote(ray.put(ray.get(stage.actor.large.remote()))))


def references_of_others(stage: Stage) -> None:
    refs = ray.get(stage.actor.puts.remote())
    ray.get(refs)
    ray.get(stage.actor.one.remote(refs))


def actor_that_is_killed(stage: Stage) -> None:
    actor = Actor.remote()
    ray.get(actor.one.remote())
    ray.kill(actor)


def actor_that_is_dropped_with_calls(stage: Stage) -> None:
    actor = Actor.remote()
    actor.one.remote()


def actor_that_is_never_up(stage: Stage) -> None:
    actor = Actor.remote(stage.held)
    ref = actor.one.remote()
    ray.kill(actor)
    with pytest.raises(ray.exceptions.ActorDiedError, match="killed"):
        ray.get(ref)


def actor_that_restarts_and_is_dropped(stage: Stage) -> None:
    actor = Actor.options(max_restarts=1, max_task_retries=1).remote(ray.put(bytes(200_000)))
    refs = [actor.crash.options(max_task_retries=0).remote(), actor.one.remote()]
    assert ray.wait(refs, num_returns=2, timeout=10)[1] == []


def actor_that_crashes_too_often(stage: Stage) -> None:
    actor = Actor.options(max_restarts=1, max_task_retries=-1).remote(ray.put(bytes(200_000)))
    with pytest.raises(ray.exceptions.ActorDiedError, match="exit code 1"):
        ray.get(actor.crash.remote())


def actor_that_may_restart_and_is_killed(stage: Stage) -> None:
    actor = Actor.options(max_restarts=-1).remote(stage.actor.one.remote())
    ray.get(actor.one.remote())
    ray.kill(actor)


def named_actor(stage: Stage) -> None:
    actor = Actor.options(name="kept").remote()
    ray.get(ray.get_actor("kept").one.remote())
    ray.kill(actor)


def wait_that_times_out(stage: Stage) -> None:
    ray.wait([stage.held], timeout=0)
    with pytest.raises(ray.exceptions.GetTimeoutError, match="timed out"):
        ray.get(stage.held, timeout=0)


def await_that_is_cancelled(stage: Stage) -> None:
    async def run() -> None:
        for _ in range(20):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stage.held.as_future(), 0.001)

    asyncio.run(run())


def done_callback_that_is_removed(stage: Stage) -> None:
    async def run() -> None:
        stage.held.add_done_callback(print)
        stage.held.remove_done_callback(print)

    asyncio.run(run())


def future_that_is_cancelled(stage: Stage) -> None:
    for _ in range(20):
        stage.held.future().cancel()


def call_that_is_cancelled_while_it_waits(stage: Stage) -> None:
    for method in (stage.actor.one, stage.latch.one, task):
        ref = method.remote(stage.held) if method is not stage.latch.one else stage.latch.hold.remote()
        ray.cancel(ref)
        with pytest.raises(ray.exceptions.TaskCancelledError, match="cancel"):
            ray.get(ref)


def stream_that_is_left(stage: Stage) -> None:
    stream = stage.actor.items.options(num_returns="streaming").remote(1000)
    ray.get(next(stream))


def stream_that_is_read(stage: Stage) -> None:
    assert sum(ray.get(ref) for ref in stage.actor.items.options(num_returns="streaming").remote(10)) == 45


def function_that_is_defined_anew(stage: Stage) -> None:
    @ray.remote(num_cpus=0)
    def function() -> int:
        return 1

    ray.get(function.remote())


def task_with_options(stage: Stage) -> None:
    ray.get(task.options(name="named", runtime_env={"env_vars": {"A": "1"}}).remote())


CASES = [
    call,
    call_with_a_time_limit,
    call_that_fails,
    task_with_a_reference,
    large_value,
    references_of_others,
    actor_that_is_killed,
    actor_that_is_dropped_with_calls,
    actor_that_is_never_up,
    actor_that_restarts_and_is_dropped,
    actor_that_crashes_too_often,
    actor_that_may_restart_and_is_killed,
    named_actor,
    wait_that_times_out,
    await_that_is_cancelled,
    done_callback_that_is_removed,
    future_that_is_cancelled,
    call_that_is_cancelled_while_it_waits,
    stream_that_is_left,
    stream_that_is_read,
    function_that_is_defined_anew,
    task_with_options,
]


def kept() -> Counter[str]:
    """Count the objects of our classes, what lies in the tables that they have, and the open descriptors."""
    gc.unfreeze()  # the objects that were made before this module count, too
    gc.collect()
    found: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        if not str(getattr(kind, "__module__", "")).startswith("nbactors"):
            continue
        name = f"{kind.__module__}.{kind.__qualname__}"
        found[name] += 1
        for part, table in _parts(thing):
            if isinstance(table, BUILT_IN) or hasattr(table, "popleft"):
                found[f"{name}.{part}"] += len(table)
    found["descriptors"] = len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))
    return found


def _parts(thing: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            mangled = f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") and name[-1] != "_" else name
            if hasattr(thing, mangled):
                yield name, getattr(thing, mangled)


BOUNDED = {
    "nbactors.local.connections.peers.Peers._gone",  # the last thousand processes that have ended
    "nbactors.local.connections.peer_connection.PeerConnection._kept",  # what was sent within the last second
    # The rows of the last calls that were reported before their answers came: of calls that take long, as under load.
    "nbactors.local.task_events.pending_events.PendingEvents._answered",
    "nbactors.local.reactor.timers.Timers._heap",  # so many that were cancelled are left where they are
    "nbactors.local.reactor.timers.Timer",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_repeated_use_leaves_nothing_behind(case: Callable[[Stage], None], stage: Stage) -> None:
    for _ in range(CYCLES):
        case(stage)
    process = engine.current().process  # type: ignore[attr-defined]
    before = kept()
    for _ in range(3 * CYCLES):
        case(stage)

    def grown() -> dict[str, int]:
        process.reactor.catch_up()
        now = kept()
        for name in BOUNDED:
            now[name] = min(now[name], before[name])
        # What goes one by one with each cycle: something that is on its way now was not a while ago.
        return {name: count - before[name] for name, count in now.items() if count - before[name] >= 2 * CYCLES}

    def is_settled() -> bool:
        return not grown()

    try:
        eventually(is_settled, 5.0)
    except TimeoutError:
        pytest.fail(f"{3 * CYCLES} times more have left: {grown()}")
