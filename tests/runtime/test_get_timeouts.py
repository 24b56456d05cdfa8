"""What a `get` that has timed out tells of the call: it may wait for its actor, for a worker, or for an argument."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import nbactors as ray

pytestmark = pytest.mark.slow


@ray.remote(num_cpus=1)
class Holder:
    def ready(self, argument: object = None) -> bool:
        return True


@pytest.fixture
def holder() -> Iterator[Holder]:
    """An actor that holds the session's only CPU."""
    ray.init(num_cpus=1)
    made = Holder.remote()
    ray.get(made.ready.remote())
    yield made
    ray.shutdown()


def timed_out(ref: ray.ObjectRef[bool]) -> str:
    with pytest.raises(ray.exceptions.GetTimeoutError, match="timed out") as caught:
        ray.get(ref, timeout=0.1)
    return str(caught.value)


def test_a_call_to_an_actor_that_has_not_started(holder: Holder) -> None:
    waiting = Holder.remote()
    assert "Holder.ready waits for its actor, which has not started" in timed_out(waiting.ready.remote())


def test_a_task_without_a_worker(holder: Holder) -> None:
    task = ray.remote(num_cpus=1)(lambda: True).options(name="counts")
    assert timed_out(task.remote()).endswith("counts waits for a worker with CPU: 1.")


def test_a_call_without_its_argument(holder: Holder) -> None:
    argument = Holder.remote().ready.remote()
    text = timed_out(holder.ready.remote(argument))
    assert text.endswith(f"Holder.ready waits for its argument ObjectRef({argument.hex()}).")


def test_a_call_that_runs(holder: Holder) -> None:
    running = holder.__ray_call__.remote(lambda self: __import__("threading").Event().wait(2))
    assert timed_out(running).endswith("wait() for those that are ready.")
    ray.cancel(running)
    assert "was cancelled, but goes on: a cancel does not interrupt" in timed_out(running)
    ray.cancel(running, interrupt=True)
    with pytest.raises(ray.exceptions.TaskCancelledError, match="cancelled"):
        ray.get(running)


@ray.remote(num_cpus=0)
class Stubborn:
    """What a cancel reaches, and does not end."""

    def hold(self) -> None:
        while True:
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                pass

    def yield_late(self) -> Iterator[int]:
        yield 1
        self.hold()


def test_a_cancelled_call_that_goes_on_is_told_apart_from_an_interrupted_one(holder: Holder) -> None:
    actor = Stubborn.remote()
    values = actor.yield_late.remote()
    held = values.completed()
    assert ray.get(next(values)) == 1
    with pytest.raises(ray.exceptions.GetTimeoutError, match="the generator goes on"):
        values._next_sync(0.1)
    ray.cancel(values)
    with pytest.raises(ray.exceptions.GetTimeoutError, match="the generator was cancelled, and ends at its next value"):
        values._next_sync(0.1)
    with pytest.raises(
        ray.exceptions.GetTimeoutError, match=r"1 of 2 .*Stubborn\.yield_late was cancelled, but goes on"
    ):
        ray.get([ray.put(1), held], timeout=0.1)
    ray.cancel(held, interrupt=True)
    assert timed_out(held).endswith("its code has not ended; kill(actor) ends the actor.")
    ray.kill(actor)
    with pytest.raises(ray.exceptions.RayActorError, match="killed"):
        ray.get(held)


def test_the_memory_that_a_task_waits_for_has_a_unit(holder: Holder) -> None:
    task = ray.remote(num_cpus=1, memory=2**30)(lambda: True).options(name="counts")
    assert timed_out(task.remote()).endswith("counts waits for a worker with CPU: 1, memory: 1.0 GiB.")
