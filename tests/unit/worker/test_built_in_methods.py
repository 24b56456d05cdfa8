"""The methods that every actor has, and those that look into one that is stuck."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from serving import Scene, stage

from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.local.worker.running import at_once, built_in_methods
from nbactors.local.worker.running.built_in_methods import NOW
from nbactors.testing import eventually


class Stuck:
    def __init__(self, then: str = "") -> None:
        self.value = 7
        if then:
            stage.reach("waits")
            stage.await_(then)

    def wait(self) -> str:
        stage.reach("waits")
        stage.await_("go on")
        return "went on"


def read(instance: Any, *args: Any, **kwargs: Any) -> Any:
    return instance.value, args, kwargs


def thread_of(instance: Any) -> str:
    return threading.current_thread().name


def fail(instance: Any) -> None:
    raise LookupError("no such thing")


def spin(instance: Any) -> None:
    stage.reach("spins")
    stage.spin()


async def read_async(instance: Any, addend: int) -> int:
    await asyncio.sleep(0)
    return int(instance.value + addend)


def test_ready_is_true_once_the_actor_is_constructed(each: Scene) -> None:
    assert each.play(lambda scene: scene.ask("__ray_ready__"), Stuck) is True


def test_call_runs_a_function_with_the_instance(each: Scene) -> None:
    assert each.play(lambda scene: scene.ask("__ray_call__", read, 1, b=2), Stuck) == (7, (1,), {"b": 2})


def test_await_awaits_a_coroutine_function_on_the_loop(on_loop: Scene) -> None:
    def body(scene: Scene) -> list[Any]:
        return [scene.ask("__ray_await__", read_async, 1), scene.ask("__ray_await__", read, 1)]

    assert on_loop.play(body, Stuck) == [8, (7, (1,), {})]


@pytest.mark.parametrize("each", ["plain", "threaded"], indirect=True)
def test_await_calls_where_there_is_no_loop(each: Scene) -> None:
    assert each.play(lambda scene: scene.ask("__ray_await__", read, 1), Stuck) == (7, (1,), {})


def test_an_unknown_one_is_an_error(each: Scene) -> None:
    def body(scene: Scene) -> None:
        with pytest.raises(AttributeError, match="__ray_no_such__"):
            scene.ask("__ray_no_such__")

    each.play(body, Stuck)


class TestNow:
    def test_it_runs_beside_a_call_that_blocks_the_actor(self, each: Scene) -> None:
        def body(scene: Scene) -> None:
            running = scene.call("wait")
            stage.await_("waits")
            assert scene.ask(NOW, read, group=NOW) == (7, (), {})
            assert scene.ask(NOW, thread_of, group=NOW) == "nbactors-now"
            stage.reach("go on")
            assert scene.get(running) == "went on"

        each.play(body, Stuck)
        eventually(lambda: set(each.worker.executor.interrupts.windows) <= {t.ident for t in threading.enumerate()})

    def test_its_error_is_its_own(self, each: Scene) -> None:
        def body(scene: Scene) -> Any:
            with pytest.raises(LookupError, match="no such thing"):
                scene.ask(NOW, fail, group=NOW)
            return scene.ask("__ray_ready__")

        assert each.play(body, Stuck) is True

    def test_it_may_be_interrupted(self, each: Scene) -> None:
        def body(scene: Scene) -> Any:
            ref = scene.call(NOW, spin, group=NOW)
            stage.await_("spins")
            scene.cancel(ref, CancelMode.INTERRUPT)
            with pytest.raises(Exception, match="was cancelled"):
                scene.get(ref)
            return scene.ask("__ray_ready__")

        assert each.play(body, Stuck) is True

    def test_it_waits_for_the_constructor_and_then_says_that_there_is_no_instance(
        self, each: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(at_once, "CONSTRUCT_S", 0.01)

        def body(scene: Scene) -> None:
            stage.await_("waits")
            with pytest.raises(RuntimeError, match="the actor's constructor still runs"):
                scene.ask(NOW, read, group=NOW)
            stage.reach("go on")
            assert scene.ask(NOW, read, group=NOW) == (7, (), {})

        each.play(body, Stuck, "go on")

    def test_one_that_was_cancelled_while_it_waited_never_runs(self) -> None:
        class Job:
            def begin(self) -> bool:
                return False

        performed: list[Any] = []
        constructed = threading.Event()
        constructed.set()
        at_once.run_at_once(Job(), performed.append, {}, constructed)  # type: ignore[arg-type]
        eventually(lambda: all(thread.name != "nbactors-now" for thread in threading.enumerate()))
        assert performed == []


def test_terminate_raises_what_ends_the_actor() -> None:
    with pytest.raises(BaseException, match="exit_actor") as raised:
        built_in_methods.find("__ray_terminate__", None, is_async=False)
    assert raised.value.after_queue  # type: ignore[attr-defined]


class TestStack:
    def ask(self, scene: Scene, then: Callable[[], None]) -> str:
        answered: list[str] = []
        session = scene.session
        session.peers.handlers[messages.StackText] = lambda connection, message: answered.append(message.text)
        next(iter(session.peers.outgoing())).send_now(messages.AskStack())
        eventually(lambda: answered)
        then()
        return answered[0]

    def test_it_tells_what_runs_and_how_many_wait(self, each: Scene) -> None:
        def body(scene: Scene) -> str:
            running = [scene.call("wait") for _ in range(scene.worker.concurrency.max_concurrency + 1)]
            stage.await_("waits")
            connection = next(iter(scene.worker.peers.incoming()))
            limit = 1 if scene.worker.concurrency.is_async else scene.worker.concurrency.max_concurrency
            eventually(lambda: len(connection.jobs.running) == limit and len(connection.jobs.waiting) >= 1)
            text = self.ask(scene, lambda: stage.reach("go on"))
            assert [scene.get(ref) for ref in running] == ["went on"] * len(running)
            return text

        text = each.play(body, Stuck)
        assert "Stuck.wait, running for" in text
        assert "wait" in text.splitlines()[-1]
        assert 'stage.await_("go on")' in text

    def test_nothing_runs_in_an_idle_worker(self, scene: Scene) -> None:
        def body(scene: Scene) -> str:
            scene.ask("__ray_ready__")
            connection = next(iter(scene.worker.peers.incoming()))
            eventually(lambda: not connection.jobs.running)
            return self.ask(scene, lambda: None)

        assert "running for" not in scene.play(body, Stuck)
