"""What a `get` that has timed out tells of the call: it may wait for its actor, for a worker, or for an argument."""

from __future__ import annotations

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
