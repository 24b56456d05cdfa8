"""Calls on a Ray cluster that wait for no other call of their actor, as those of `%%on --now`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.subjects import counter
from nbactors.testing import eventually
from nbactors.util.inside import run_inside


def test_a_call_runs_beside_a_method_and_neither_ends_the_other(ray: Any, tmp_path: Path) -> None:
    actor = ray.remote(counter()).remote(5)
    mark = tmp_path / "begun"
    busy = actor.spin.remote(str(mark))
    eventually(mark.exists)
    added = run_inside(actor, lambda it, n, m: it.value + n + m, 1, ray.put(2), now=True)
    assert ray.get(added, timeout=30) == 8
    assert ray.wait([busy], timeout=0)[0] == []
    ray.cancel(busy, interrupt=True)
    with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
        ray.get(busy, timeout=30)
    assert ray.get(actor.add.remote(), timeout=30) == 6


def test_its_error_is_that_of_the_user_and_its_value_may_be_refused(ray: Any) -> None:
    actor = ray.remote(counter()).remote()

    def look(it: Any) -> None:
        raise KeyError("nothing here")

    def refuse(it: Any) -> Any:
        import threading

        return threading.Lock()

    with pytest.raises(KeyError, match="nothing here"):
        ray.get(run_inside(actor, look, now=True), timeout=30)
    with pytest.raises(TypeError, match="lock"):
        ray.get(run_inside(actor, refuse, now=True), timeout=30)
    assert ray.get(actor.add.remote(), timeout=30) == 1


@pytest.mark.parametrize("kind", ["asyncio", "threads"])
def test_it_looks_into_actors_of_every_kind(ray: Any, kind: str, tmp_path: Path) -> None:
    if kind == "asyncio":

        class Blocked:
            async def block(self, mark: Path) -> None:
                import time

                mark.touch()  # noqa: ASYNC240 - it takes no time
                time.sleep(60)  # noqa: ASYNC251 - it blocks the loop

        actor = ray.remote(Blocked).remote()
        actor.block.remote(tmp_path / "begun")
    else:
        actor = ray.remote(counter()).options(max_concurrency=2).remote()
        for _ in range(2):
            actor.sleep.remote(60, str(tmp_path / "begun"))
    eventually((tmp_path / "begun").exists)
    assert ray.get(run_inside(actor, lambda it: type(it).__name__, now=True), timeout=30) in {"Blocked", "Counter"}
    ray.kill(actor)


def test_an_actor_that_has_ended_answers_with_an_error(ray: Any) -> None:
    actor = ray.remote(counter()).remote()
    ray.get(actor.add.remote())
    ray.kill(actor)
    with pytest.raises(ray.exceptions.RayActorError, match="has not answered within 10 s"):
        ray.get(run_inside(actor, lambda it: it, now=True), timeout=30)


def test_nothing_starts_a_cluster_when_the_session_has_ended(fresh: Any) -> None:
    import ray

    fresh.init(engine="ray", num_cpus=1)
    actor = fresh.remote(counter()).remote()
    assert fresh.get(actor.add.remote()) == 1
    fresh.shutdown()
    assert actor._link.facts().calls == 0  # what a thread that draws the actor may ask for
    with pytest.raises(ray.exceptions.RaySystemError, match="not been started"):
        ray.wait([ray.ObjectRef.from_random()], timeout=0)
    assert not ray.is_initialized()
