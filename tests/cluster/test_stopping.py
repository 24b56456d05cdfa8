"""How calls on a Ray cluster are stopped: interrupts, cancellation, limits of time."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from cluster.subjects import counter
from nbactors.testing import eventually


@pytest.fixture
def actor(ray: Any) -> Any:
    actor = ray.remote(counter()).remote()
    ray.get(actor.add.remote())
    return actor


@pytest.mark.parametrize("method", ["sleep", "spin"])
def test_an_interrupt_ends_a_running_method_and_the_state_stays(
    ray: Any, actor: Any, method: str, tmp_path: Path
) -> None:
    mark = tmp_path / "begun"
    ref = actor.sleep.remote(60, str(mark)) if method == "sleep" else actor.spin.remote(str(mark))
    behind = actor.add.remote()
    eventually(mark.exists)
    began = monotonic()
    ray.cancel(ref, interrupt=True)
    with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
        ray.get(ref, timeout=30)
    assert monotonic() - began < 10
    assert ray.get(behind, timeout=30) == 2


def test_a_queued_call_is_cancelled_at_once_and_never_runs(ray: Any, actor: Any, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    running = actor.sleep.remote(3, str(mark))
    queued = [actor.add.remote(100) for _ in range(3)]
    eventually(mark.exists)
    for ref in queued:
        ray.cancel(ref)
    for ref in queued:
        with pytest.raises(ray.exceptions.TaskCancelledError, match="had not begun"):
            ray.get(ref, timeout=30)
    assert ray.wait([running], timeout=0)[0] == []
    assert ray.get([running, actor.add.remote()], timeout=30) == ["slept", 2]


def test_a_call_that_takes_longer_than_its_limit_is_stopped(ray: Any, actor: Any) -> None:
    with pytest.raises(ray.exceptions.CallTimeoutError, match=r"still running after the 0.5 s"):
        ray.get(actor.sleep.options(timeout_s=0.5).remote(60), timeout=30)
    assert ray.get(actor.add.remote(), timeout=30) == 2


def test_a_coroutine_is_cancelled(ray: Any, tmp_path: Path) -> None:
    mark = tmp_path / "begun"

    @ray.remote
    class Sleeper:
        async def sleep(self, mark: str) -> None:
            import asyncio

            Path(mark).touch()  # noqa: ASYNC240 - it takes no time
            await asyncio.sleep(60)

        async def get(self) -> str:
            return "alive"

    sleeper = Sleeper.remote()
    ref = sleeper.sleep.remote(str(mark))
    eventually(mark.exists)
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
        ray.get(ref, timeout=30)
    assert ray.get(sleeper.get.remote()) == "alive"


def test_a_task_is_cancelled(ray: Any, tmp_path: Path) -> None:
    mark = tmp_path / "begun"

    @ray.remote
    def sleep() -> None:
        import time

        mark.touch()
        time.sleep(60)

    ref = sleep.remote()
    eventually(mark.exists)
    began = monotonic()
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
        ray.get(ref, timeout=30)
    assert monotonic() - began < 10


def test_a_task_that_runs_an_event_loop_is_cancelled_and_so_is_the_next_one_in_its_worker(
    ray: Any, tmp_path: Path
) -> None:
    @ray.remote(num_cpus=4)  # one after another, in one worker
    def serve(mark: Path) -> None:
        import asyncio

        async def idle() -> None:
            mark.touch()  # noqa: ASYNC240 - it takes no time
            await asyncio.sleep(60)

        asyncio.run(idle())

    for name in ("first", "second"):
        ref = serve.remote(tmp_path / name)
        eventually((tmp_path / name).exists)
        began = monotonic()
        ray.cancel(ref)
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            ray.get(ref, timeout=30)
        assert monotonic() - began < 10
