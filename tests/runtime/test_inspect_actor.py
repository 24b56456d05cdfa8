"""What an actor's process tells of itself and its calls: `nbactors.util.state.inspect_actor`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbactors as ray
from nbactors.testing.polling import eventually
from nbactors.util import state

pytestmark = pytest.mark.slow


class Stubborn:
    """Its text can never be made: with `path` the attempt blocks, without it raises."""

    def __init__(self, path: str = "") -> None:
        self.path = path

    def __repr__(self) -> str:
        if not self.path:
            raise ValueError("no text")
        Path(self.path).touch()
        threading.Event().wait(60)
        return "late"


@ray.remote
class Busy:
    def __init__(self) -> None:
        self.go = threading.Event()

    def wait(self, data: Any = None, *more: Any, rate: float = 0.5) -> str:
        self.go.wait(60)
        return "done"


@ray.remote(concurrency_groups={"io": 1, "control": 1})
class Grouped:
    def __init__(self) -> None:
        self.go = threading.Event()

    def wait(self, data: Any) -> str:
        self.go.wait(60)
        return "done"

    @ray.method(concurrency_group="io")
    def read(self, path: str) -> str:
        self.go.wait(60)
        return path

    @ray.method(concurrency_group="control")
    def let_go(self) -> None:
        self.go.set()


@ray.remote
class Async:
    def __init__(self) -> None:
        import asyncio

        self.go = asyncio.Event()

    async def wait(self, number: int) -> int:
        await self.go.wait()
        return number

    async def block(self, path: str) -> None:
        Path(path).touch()  # noqa: ASYNC240 - takes no time
        time.sleep(60)  # noqa: ASYNC251 - it blocks the loop

    async def let_go(self) -> None:
        self.go.set()


@pytest.fixture(autouse=True)
def _session() -> Iterator[None]:
    ray.init(num_cpus=4)
    yield
    ray.shutdown()


def ready(actor: Any) -> Any:
    """Return an actor whose process has begun to listen."""
    ray.get(actor.__ray_ready__.remote())
    return actor


def with_running(actor: Any, count: int, queued: int = 0) -> dict[str, Any]:
    """Return the answer of an actor when so many of its calls run, with their arguments, and so many wait."""

    def look() -> dict[str, Any] | None:
        told = state.inspect_actor(actor)
        has_begun = all(call["arguments"] for call in told["running"])
        return told if has_begun and (len(told["running"]), len(told["queued"])) == (count, queued) else None

    return eventually(look, 30, f"{count} running calls and {queued} waiting ones")


def test_an_idle_actor_tells_of_its_process() -> None:
    before = time.time()
    _actor = ready(Busy.options(name="idle").remote())
    told = with_running("idle", 0)
    (row,) = state.list_actors(detail=True)
    assert (told["pid"], told["worker_id"]) == (row["pid"], row["worker_id"])
    assert before - 60 < told["since"] <= told["at"] < time.time() + 1
    assert told["cpu_s"] > 0
    assert told["memory"] > 1 << 20
    assert told["groups"] == [{"name": "", "size": 1, "running": [], "queued": 0}]
    assert state.inspect_actor(row["actor_id"])["pid"] == told["pid"]


def test_a_blocked_actor_tells_its_running_call_and_those_that_wait() -> None:
    numpy = pytest.importorskip("numpy")
    actor = ready(Busy.remote())
    running = actor.wait.remote(numpy.zeros((1000, 3)), "more", rate=0.1)
    waiting = [actor.wait.options(name=f"number {index}").remote() for index in range(2)]
    told = with_running(actor, 1, queued=2)
    (call,) = told["running"]
    (group,) = told["groups"]
    assert call["task_id"] == running.task_id().hex()
    assert (call["name"], call["group"], call["paused"]) == ("Busy.wait", "", False)
    assert told["since"] <= call["since"] <= told["at"]
    assert [tuple(pair) for pair in call["arguments"]] == [
        ("data", "ndarray (1000, 3) float64"),
        ("", "'more'"),
        ("rate", "0.1"),
    ]
    assert group == {"name": "", "size": 1, "running": [call["task_id"]], "queued": 2}
    assert [call["name"] for call in told["queued"]] == ["number 0", "number 1"]
    assert [call["task_id"] for call in told["queued"]] == [ref.task_id().hex() for ref in waiting]
    assert set(told["queued"][0]) == {"task_id", "name", "group", "since"}


def test_a_threaded_actor_tells_the_calls_of_each_group() -> None:
    actor = ready(Grouped.options(max_concurrency=2).remote())
    refs = [actor.wait.remote(number) for number in range(2)] + [actor.read.remote(path) for path in "ab"]
    told = with_running(actor, 3, queued=1)
    assert [(group["name"], group["size"], len(group["running"]), group["queued"]) for group in told["groups"]] == [
        ("", 2, 2, 0),
        ("io", 1, 1, 1),
        ("control", 1, 0, 0),
    ]
    assert sorted(call["arguments"] for call in told["running"]) == [
        [("data", "0")],
        [("data", "1")],
        [("path", "'a'")],
    ]
    actor.let_go.remote()
    assert ray.get(refs) == ["done", "done", "a", "b"]


def test_an_asyncio_actor_tells_the_arguments_of_its_coroutines() -> None:
    actor = ready(Async.remote())
    refs = [actor.wait.remote(number) for number in range(300)]
    told = eventually(
        lambda: found if len((found := state.inspect_actor(actor))["groups"][0]["running"]) == 300 else None
    )
    (group,) = told["groups"]
    assert group["size"] == 1000
    assert [call["arguments"] for call in told["running"]] == [[("number", str(number))] for number in range(200)]
    ray.get(actor.let_go.remote())
    assert ray.get(refs) == list(range(300))


def test_an_asyncio_actor_answers_while_a_coroutine_blocks_its_loop(tmp_path: Path) -> None:
    actor = ready(Async.remote())
    call = actor.block.remote(str(tmp_path / "begun"))
    eventually((tmp_path / "begun").exists, 30, "the call has begun")
    (told,) = state.inspect_actor(actor)["running"]
    assert told["task_id"] == call.task_id().hex()
    ((name, text),) = told["arguments"]
    assert (name, text[:5]) == ("path", f"'{tmp_path}"[:5])


@pytest.mark.parametrize("blocks", [False, True])
def test_no_repr_of_an_argument_runs(tmp_path: Path, blocks: bool) -> None:
    path = str(tmp_path / "repr") if blocks else ""
    actor = ready(Busy.remote())
    _call = actor.wait.remote(Stubborn(path), [Stubborn(path)])
    (call,) = with_running(actor, 1)["running"]
    assert call["arguments"] == [("data", "Stubborn"), ("", "[Stubborn]")]
    assert not (tmp_path / "repr").exists()


def test_an_answer_keeps_no_argument_of_a_call() -> None:
    @ray.remote
    class Keeper:
        def __init__(self) -> None:
            self.go = threading.Event()

        def hold(self, value: Any) -> None:
            import weakref

            self.seen = weakref.ref(value)
            self.go.wait(60)

        def let_go(self) -> None:
            self.go.set()

        def is_kept(self) -> bool:
            return self.seen() is not None

    actor = ready(Keeper.options(max_concurrency=2).remote())
    call = actor.hold.remote({1, 2, 3})
    with_running(actor, 1)
    ray.get(actor.let_go.remote())
    ray.get(call)
    assert not ray.get(actor.is_kept.remote())


def test_a_dead_actor_is_told_as_such() -> None:
    actor = ready(Busy.remote())
    ray.kill(actor)
    with pytest.raises(ray.exceptions.RayActorError, match="is dead, so it has no calls"):
        eventually(lambda: state.inspect_actor(actor) and None, 30)


def test_what_is_no_actor_is_refused() -> None:
    with pytest.raises(TypeError, match=r"inspect_actor\(\) takes a handle"):
        state.inspect_actor(5)
    with pytest.raises(ValueError, match="there is no actor with the id or name 'nobody'"):
        state.inspect_actor("nobody")
