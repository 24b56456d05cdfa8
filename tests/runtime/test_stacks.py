"""What running actors do now: `handle.stack()` and `nbactors.util.state.stack`."""

from __future__ import annotations

import ctypes
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors as ray
from nbactors.testing.polling import eventually
from nbactors.util import state

pytestmark = pytest.mark.slow


@ray.remote
class Blocking:
    def __init__(self, path: str = "") -> None:
        self.go = threading.Event()
        if path:
            self.block(path)

    def block(self, path: str) -> None:
        Path(path).touch()
        self.wait()

    def wait(self) -> None:
        self.go.wait(60)

    def start_thread(self) -> None:
        threading.Thread(target=self.wait, name="mine", daemon=True).start()

    def show_bar(self) -> None:
        from tqdm import tqdm

        with tqdm(total=1) as bar:
            bar.update()
            assert any(thread.name == "tqdm_monitor" for thread in threading.enumerate())

    def hold_gil(self, path: str) -> None:
        Path(path).touch()
        ctypes.PyDLL(None).sleep(60)


@ray.remote
class Async:
    async def block(self, path: str) -> None:
        import asyncio

        self.other = asyncio.create_task(self.sleep(), name="other")
        Path(path).touch()  # noqa: ASYNC240 - takes no time
        await self.sleep()

    async def sleep(self) -> None:
        import asyncio

        await asyncio.sleep(60)


@ray.remote
class Own:
    def stack(self) -> str:
        return "its own"


@pytest.fixture(autouse=True)
def _session() -> Iterator[None]:
    ray.init(num_cpus=4)
    yield
    ray.shutdown()


def begun(path: Path) -> str:
    eventually(path.exists, 30, "the call has begun")
    return str(path)


def test_the_stack_of_an_idle_actor_says_that_nothing_runs() -> None:
    actor = Blocking.remote()
    ray.get(actor.start_thread.remote())
    eventually(lambda: "thread mine\n" in actor.stack(), 10, "the thread")
    other = Blocking.remote()
    ray.get(other.__ray_ready__.remote())
    eventually(lambda: other.stack() == "Nothing runs.", 10, "an idle actor")


def test_the_stack_leaves_out_the_thread_of_tqdm() -> None:
    actor = Blocking.remote()
    ray.get(actor.show_bar.remote())
    eventually(lambda: actor.stack() == "Nothing runs.", 10, "an idle actor")


@pytest.mark.parametrize("threads", [1, 2])
def test_the_stack_shows_the_frames_of_a_blocked_call(tmp_path: Path, threads: int) -> None:
    actor = Blocking.options(max_concurrency=threads).remote()
    calls = [actor.block.remote(str(tmp_path / "begun")) for _ in range(threads + 1)]
    begun(tmp_path / "begun")
    text = eventually(lambda: actor.stack() if actor.stack().count(" in wait\n    self.go") == threads else "", 10)
    assert len(re.findall(r"^Blocking\.block, running for \d+\.\d s$", text, re.MULTILINE)) == threads
    assert "in block\n    self.wait()" in text
    assert "/nbactors/local/" not in text
    assert text.endswith("1 more call waits.")
    assert len(calls) == threads + 1


def test_the_stack_shows_a_running_constructor(tmp_path: Path) -> None:
    actor = Blocking.remote(str(tmp_path / "begun"))
    begun(tmp_path / "begun")
    assert actor.stack().startswith("Blocking.__init__, running for ")


def test_the_stack_shows_coroutines_and_tasks(tmp_path: Path) -> None:
    actor = Async.remote()
    call = actor.block.remote(str(tmp_path / "begun"))
    begun(tmp_path / "begun")
    text = eventually(lambda: actor.stack() if actor.stack().count("await asyncio.sleep(60)") == 2 else "", 10)
    assert re.search(r"^Async\.block, running for .* s\n  .* in block\n    await self.sleep\(\)", text)
    assert "\nasyncio task other\n" in text
    ray.cancel(call)


def test_state_stack_takes_a_name_and_an_id() -> None:
    actor = Blocking.options(name="of stacks").remote()
    ray.get(actor.__ray_ready__.remote())
    eventually(lambda: state.stack(actor) == "Nothing runs.", 10, "an idle actor")
    assert state.stack("of stacks") == state.stack(actor) == state.stack(actor._actor_id.hex()) == "Nothing runs."
    with pytest.raises(ValueError, match="no actor with the id or name 'nobody'"):
        state.stack("nobody")
    with pytest.raises(TypeError, match="takes a handle, an actor's id or its name"):
        state.stack(5)


def test_a_dead_actor_has_no_stack() -> None:
    actor = Blocking.remote()
    ray.get(actor.__ray_ready__.remote())
    ray.kill(actor)
    with pytest.raises(ray.exceptions.RayActorError, match="is dead, so it has no stack"):
        state.stack(actor)


def test_a_method_of_the_name_stack_is_called_instead() -> None:
    actor = Own.remote()
    assert ray.get(actor.stack.remote()) == "its own"
    # The answer is sent before the call has quite ended.
    eventually(lambda: state.stack(actor) == "Nothing runs.", 10, "an idle actor")


def test_the_stack_of_an_actor_that_holds_the_gil_times_out_with_the_reason(tmp_path: Path) -> None:
    actor = Blocking.remote()
    actor.hold_gil.remote(str(tmp_path / "begun"))
    begun(tmp_path / "begun")
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="keeps the GIL"):
        actor.stack(timeout=0.5)
    assert time.monotonic() - started < 30
    ray.kill(actor)
