"""`nbactors.profile`: what actors spend their time on, in real processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbactors as ray
from nbactors.testing.polling import eventually

pytestmark = pytest.mark.slow


class Busy:
    def __init__(self) -> None:
        self.goes_on = True

    def work(self, path: Path) -> None:
        path.touch()
        while self.goes_on:
            self.inner()

    def inner(self) -> int:
        return sum(number * number for number in range(20_000))


class AsyncBusy(Busy):
    async def wait(self, path: Path) -> None:
        import asyncio

        self.other = asyncio.create_task(self.sleep(), name="other")
        path.touch()  # noqa: ASYNC240 - takes no time
        await self.sleep()

    async def sleep(self) -> None:
        import asyncio

        await asyncio.sleep(60)


class WithThread(Busy):
    def start(self, path: Path) -> None:
        threading.Thread(target=self.work, args=(path,), name="mine", daemon=True).start()


@pytest.fixture(autouse=True, scope="module")
def _session() -> Iterator[None]:
    ray.init(num_cpus=4)
    yield
    ray.shutdown()


def begin(actor: Any, method: str, path: Path) -> Any:
    ref = getattr(actor, method).remote(path)
    eventually(path.exists, 30, "the call has begun")
    return ref


def shares(profile: Any) -> dict[str, int]:
    """Return in how many samples each function or call was seen, by its name."""
    found: dict[str, int] = {}
    for stack, count in profile.stacks:
        for name in {part.partition(" (")[0].rpartition(".")[2] for part in stack}:
            found[name] = found.get(name, 0) + count
    return found


@pytest.mark.parametrize("options", [{"num_cpus": 0}, {"max_concurrency": 2}])
def test_a_running_method_is_seen_with_its_callees(options: dict[str, Any], tmp_path: Path) -> None:
    actor = ray.remote(**options)(Busy).remote()
    ref = begin(actor, "work", tmp_path / "begun")
    profile = ray.profile(actor, seconds=0.5)
    seen = shares(profile)
    assert profile.samples >= 3
    assert seen["work"] > 0.8 * profile.samples
    assert seen["inner"] > 0.5 * profile.samples
    assert "Busy.work" in profile.html()
    ray.kill(actor)
    del ref


def test_asyncio_tasks_are_seen_by_their_stacks(tmp_path: Path) -> None:
    actor = ray.remote(AsyncBusy).remote()
    ref = begin(actor, "wait", tmp_path / "begun")
    profile = ray.profile(actor, seconds=0.3)
    stacks = [[part.partition(" (")[0].rpartition(".")[2] for part in stack] for stack, _ in profile.stacks]
    assert ["wait", "wait", "sleep"] in stacks
    assert ["asyncio task other", "sleep"] in stacks
    ray.kill(actor)
    del ref


def test_threads_of_user_code_are_seen(tmp_path: Path) -> None:
    actor = ray.remote(WithThread).remote()
    begin(actor, "start", tmp_path / "begun")
    assert shares(ray.profile(actor, seconds=0.3))["thread mine"] > 0


def test_an_idle_actor_has_an_empty_profile() -> None:
    actor = ray.remote(Busy).remote()
    ray.get(actor.inner.remote())
    eventually(lambda: actor.stack() == "Nothing runs.", 10, "the end of the call")
    profile = ray.profile(actor, seconds=0.2, interval=0.05)
    assert profile.stacks == []
    assert 1 <= profile.samples <= 4


def test_a_dead_actor_has_no_profile() -> None:
    actor = ray.remote(Busy).remote()
    ray.get(actor.inner.remote())
    ray.kill(actor)
    with pytest.raises(ray.exceptions.RayActorError, match="is dead"):
        ray.profile(actor, seconds=0.2)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"seconds": 0}, ValueError, "seconds must be above 0"),
        ({"seconds": float("nan")}, ValueError, "seconds must be above 0"),
        ({"seconds": "5"}, TypeError, "seconds must be a number"),
        ({"interval": -1}, ValueError, "interval must be above 0"),
    ],
)
def test_wrong_arguments_are_refused(given: dict[str, Any], error: type[Exception], text: str) -> None:
    actor = ray.remote(Busy).remote()
    with pytest.raises(error, match=text):
        ray.profile(actor, **given)


def test_only_a_handle_is_taken() -> None:
    with pytest.raises(TypeError, match="takes a handle, an actor's id or its name"):
        ray.profile(7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no actor with the id or name 'actor'"):
        ray.profile("actor")
