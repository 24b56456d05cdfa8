"""How a worker ends on purpose: what is cleaned up in which order, and what callers and the node are told."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from serving import Scene, stage

from nbactors import exceptions
from nbactors.actor import exit_actor
from nbactors.limits import MAX_TEXT
from nbactors.local.wire import messages
from nbactors.local.worker.running import forked
from nbactors.local.worker.running.ending import Ending
from nbactors.testing import eventually


class Mortal:
    def __init__(self, shutdown: str = "") -> None:
        self.shutdown = shutdown
        self.tasks: list[Any] = []

    def __ray_shutdown__(self) -> None:
        stage.log.append("__ray_shutdown__")
        if self.shutdown:
            raise LookupError(self.shutdown)

    def __del__(self) -> None:
        stage.log.append("__del__")

    def note(self, what: Any) -> Any:
        stage.log.append(what)
        return what

    def wait(self, event: str) -> str:
        stage.reach("waits")
        stage.await_(event)
        return event

    def exit_actor(self, after: str = "") -> None:
        if after:
            stage.reach("waits")
            stage.await_(after)
        exit_actor()

    def exit(self, code: Any = None) -> None:
        sys.exit(code)

    def exit_after(self, event: str, code: int) -> None:
        stage.reach("waits")
        stage.await_(event)
        sys.exit(code)

    def exit_in_thread(self) -> str:
        thread = threading.Thread(target=self._exit_silently)
        thread.start()
        thread.join()
        return "answered"

    def _exit_silently(self) -> None:
        try:
            exit_actor()
        except BaseException:
            pass

    def kill(self) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return "answered"

    async def exit_async(self) -> None:
        await asyncio.sleep(0)
        exit_actor()

    async def wait_async(self, event: str) -> str:
        stage.reach("waits")
        await asyncio.to_thread(stage.await_, event)
        if event == "exit":
            self.tasks.append(asyncio.ensure_future(_exit_again()))
            await asyncio.sleep(0)
        return event

    async def exit_in_task(self) -> str:
        async def leave() -> None:
            exit_actor()

        self.tasks.append(asyncio.ensure_future(leave()))
        return "answered"

    async def sys_exit_in_task(self) -> str:
        async def leave() -> None:
            sys.exit(3)

        self.tasks.append(asyncio.ensure_future(leave()))
        return "answered"


async def _exit_again() -> None:
    sys.exit(3)


GRACEFUL = ["__ray_shutdown__", "__del__", "atexit"]


def has_left(scene: Scene) -> None:
    eventually(lambda: scene.worker.status is not None)


def dies(scene: Scene, ref: Any, text: str = "exit_actor") -> None:
    """Check that a call gets the error of a dead actor."""
    with pytest.raises(exceptions.ActorDiedError, match=text):
        scene.get(ref)


def test_exit_actor_unwinds_its_call_and_cleans_up_in_rays_order(each: Scene) -> None:
    def body(scene: Scene) -> None:
        scene.ask("note", "before")
        dies(scene, scene.call("exit_actor"))
        has_left(scene)

    each.play(body, Mortal)
    assert stage.log == ["before", *GRACEFUL]
    assert each.worker.status == 0
    assert each.worker.node_end.expect(messages.Ending) == messages.Ending("exit", "exit_actor() is called.")


def test_calls_that_wait_and_calls_that_come_too_late_get_the_cause(scene: Scene) -> None:
    def body(scene: Scene) -> None:
        ending = scene.call("exit_actor", "go on")
        stage.await_("waits")
        waiting = [scene.call("note", number) for number in range(3)]
        eventually(lambda: len(next(iter(scene.worker.peers.incoming())).jobs.waiting) == 3)
        stage.reach("go on")
        for ref in [ending, *waiting]:
            dies(scene, ref)
        # The second of them shows that the descriptors of the first were taken over: they lie in a queue.
        dies(scene, scene.call("note", np.zeros(100_000)))
        dies(scene, scene.call("note", scene.session.put(np.zeros(100_000))))

    scene.play(body, Mortal)
    assert stage.log == GRACEFUL


def test_terminate_serves_what_waits_already(each: Scene) -> None:
    def body(scene: Scene) -> list[Any]:
        blocking = scene.call("wait", "go on")
        stage.await_("waits")
        if scene.worker.concurrency.is_async:
            stage.reach("go on")  # one plain method has the loop to itself
        waiting = [scene.call("note", number) for number in range(10)]
        ending = scene.call("__ray_terminate__")
        stage.reach("go on")
        dies(scene, ending)
        results = [scene.get(ref) for ref in [blocking, *waiting]]
        # The callers are answered before the end is queued. The scene ends the worker, too, when this returns.
        eventually(lambda: stage.log[-1] == GRACEFUL[-1])
        return results

    assert each.play(body, Mortal) == ["go on", *range(10)]
    assert stage.log[-3:] == GRACEFUL


@pytest.mark.parametrize(
    ("code", "kind", "status"), [(None, "exit", 0), (0, "exit", 0), (3, "crashed", 3), ("why", "crashed", 1)]
)
def test_sys_exit_ends_the_actor_with_its_code(
    each: Scene, code: Any, kind: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(scene: Scene) -> None:
        dies(scene, scene.call("exit", code), r"sys\.exit")
        has_left(scene)

    each.play(body, Mortal)
    ending = each.worker.node_end.expect(messages.Ending)
    assert (ending.kind, each.worker.status) == (kind, status)
    assert capsys.readouterr().err == ("why\n" if code == "why" else "")
    assert stage.log == GRACEFUL


def test_sys_exit_in_a_task_ends_the_worker(scene: Scene) -> None:
    def body(scene: Scene) -> None:
        scene.task(sys.exit, 3)
        scene.worker.grant(scene.session)
        has_left(scene)

    scene.play(body)
    assert scene.worker.status == 3
    assert scene.worker.node_end.expect(messages.Ending).kind == "crashed"


def test_exit_actor_on_a_thread_of_the_actors_own_ends_it_after_the_calls_that_run(each: Scene) -> None:
    def body(scene: Scene) -> Any:
        answer = scene.ask("exit_in_thread")
        has_left(scene)
        return answer

    assert each.play(body, Mortal) == "answered"
    assert stage.log == GRACEFUL


@pytest.mark.parametrize("method", ["exit_in_task", "sys_exit_in_task"])
def test_an_exit_in_a_task_of_the_actors_own_ends_it(on_loop: Scene, method: str) -> None:
    def body(scene: Scene) -> Any:
        answer = scene.ask(method)
        has_left(scene)
        return answer

    assert on_loop.play(body, Mortal) == "answered"
    assert on_loop.worker.status == (3 if method == "sys_exit_in_task" else 0)


def test_exit_actor_in_a_coroutine_ends_the_actor(on_loop: Scene) -> None:
    def body(scene: Scene) -> None:
        dies(scene, scene.call("exit_async"))
        has_left(scene)

    on_loop.play(body, Mortal)
    assert stage.log == GRACEFUL


def test_calls_on_other_threads_end_first_and_are_answered(threaded: Scene) -> None:
    def body(scene: Scene) -> Any:
        running = scene.call("wait", "go on")
        stage.await_("waits")
        dies(scene, scene.call("exit_actor"))
        assert stage.log == []
        stage.reach("go on")
        return scene.get(running)

    assert threaded.play(body, Mortal) == "go on"
    assert stage.log == GRACEFUL


@pytest.mark.parametrize("event", ["go on", "exit"])
def test_coroutines_that_await_end_first_and_are_answered(on_loop: Scene, event: str) -> None:
    def body(scene: Scene) -> Any:
        running = scene.call("wait_async", event)
        stage.await_("waits")
        dies(scene, scene.call("exit_actor"))
        assert stage.log == []
        stage.reach(event)
        return scene.get(running)

    assert on_loop.play(body, Mortal) == event
    assert on_loop.worker.status == 0


def test_sigterm_ends_an_actor_of_threads_like_exit_actor(threaded: Scene) -> None:
    def body(scene: Scene) -> Any:
        answer = scene.ask("kill")
        has_left(scene)
        dies(scene, scene.call("note", "late"), "SIGTERM")
        return answer

    assert threaded.play(body, Mortal) == "answered"
    assert stage.log == GRACEFUL
    assert threaded.worker.status == 128 + signal.SIGTERM
    assert threaded.worker.node_end.expect(messages.Ending).kind == "crashed"


def restart(scene: Scene) -> None:
    """End the worker's process, and tell the caller that the actor restarts."""
    has_left(scene)
    worker, session = scene.worker, scene.session
    session.others.pop(worker.process_id)
    for connection in worker.peers.incoming():
        worker.reactor.discard(lambda connection=connection: connection.close("the process has ended"))  # type: ignore[misc]
    news = messages.ActorRestarting(scene.link.actor_id, "it has crashed", True)
    session.node_end.tell(messages.ProcessGone(worker.process_id, ""), news)


class TestRestarts:
    @pytest.fixture(autouse=True)
    def _may_restart(self, request: pytest.FixtureRequest) -> None:
        for name in {"scene", "each", "threaded"} & set(request.fixturenames):
            request.getfixturevalue(name).worker.executor.hosted.may_restart = True

    def test_a_crash_leaves_its_call_to_the_restart(self, each: Scene) -> None:
        def body(scene: Scene) -> None:
            ref = scene.call("exit", 3)
            restart(scene)
            with pytest.raises(exceptions.ActorUnavailableError, match="it has crashed"):
                scene.get(ref)

        each.play(body, Mortal)
        assert each.worker.node_end.expect(messages.Ending).kind == "crashed"
        assert stage.log == GRACEFUL

    def test_a_crash_leaves_calls_that_wait_and_calls_that_come_too_late_to_the_restart(self, scene: Scene) -> None:
        def body(scene: Scene) -> None:
            ending = scene.call("exit_after", "go on", 3)
            stage.await_("waits")
            waiting = [scene.call("note", number) for number in range(3)]
            eventually(lambda: len(next(iter(scene.worker.peers.incoming())).jobs.waiting) == 3)
            stage.reach("go on")
            has_left(scene)
            late = [scene.call("note", np.zeros(100_000)), scene.call("note", scene.session.put(1))]
            restart(scene)
            for ref in [ending, *waiting, *late]:
                with pytest.raises(exceptions.ActorUnavailableError, match="it has crashed"):
                    scene.get(ref)

        scene.play(body, Mortal)
        assert stage.log == GRACEFUL

    def test_calls_that_run_on_other_threads_are_answered_before_the_restart(self, threaded: Scene) -> None:
        def body(scene: Scene) -> Any:
            running = scene.call("wait", "go on")
            stage.await_("waits")
            ending = scene.call("exit", 3)
            threaded.worker.node_end.expect(messages.Ending)
            stage.reach("go on")
            restart(scene)
            with pytest.raises(exceptions.ActorUnavailableError, match="it has crashed"):
                scene.get(ending)
            return scene.get(running)

        assert threaded.play(body, Mortal) == "go on"

    def test_sigterm_leaves_later_calls_to_the_restart(self, threaded: Scene) -> None:
        def body(scene: Scene) -> Any:
            answer = scene.ask("kill")
            has_left(scene)
            late = scene.call("note", "late")
            restart(scene)
            with pytest.raises(exceptions.ActorUnavailableError, match="it has crashed"):
                scene.get(late)
            return answer

        assert threaded.play(body, Mortal) == "answered"

    def test_an_exit_on_purpose_answers_all_calls(self, scene: Scene) -> None:
        def body(scene: Scene) -> None:
            ending = scene.call("exit_actor", "go on")
            stage.await_("waits")
            waiting = [scene.call("note", number) for number in range(3)]
            eventually(lambda: len(next(iter(scene.worker.peers.incoming())).jobs.waiting) == 3)
            stage.reach("go on")
            for ref in [ending, *waiting, scene.call("note", "late")]:
                dies(scene, ref)

        scene.play(body, Mortal)
        assert scene.worker.node_end.expect(messages.Ending).kind == "exit"

    def test_sys_exit_without_an_error_answers_its_call(self, each: Scene) -> None:
        each.play(lambda scene: dies(scene, scene.call("exit", 0), r"sys\.exit"), Mortal)


def test_an_error_in_the_clean_up_is_printed_and_the_rest_goes_on(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.play(lambda scene: dies(scene, scene.call("exit_actor")), Mortal, "no such thing")
    assert stage.log == GRACEFUL
    err = capsys.readouterr().err
    assert err.startswith("__ray_shutdown__ raised:\n")
    assert "LookupError: no such thing" in err


def test_streams_that_the_user_has_closed_do_not_disturb_the_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def flush(self) -> None:
            raise ValueError("I/O operation on closed file")

        def write(self, text: str) -> None:
            raise ValueError("I/O operation on closed file")

    def body(scene: Scene) -> None:
        monkeypatch.setattr(sys, "stdout", Closed())
        dies(scene, scene.call("exit_actor"))
        has_left(scene)

    scene.play(body, Mortal)
    assert scene.worker.status == 0


def test_of_two_endings_the_first_is_told(threaded: Scene) -> None:
    farewell = threaded.worker.executor.farewell
    farewell.begin(Ending("exit", "the first"))
    farewell.begin(Ending("crashed", "the second"))
    assert threaded.worker.node_end.expect(messages.Ending).text == "the first"
    threaded.worker.node.send_now(messages.Blocked())
    threaded.worker.node_end.expect(messages.Blocked)
    assert [message for message in threaded.worker.node_end.arrived() if isinstance(message, messages.Ending)] == []


def test_the_end_of_a_long_cause_is_told(scene: Scene) -> None:
    ending = Ending("crashed", "x" * MAX_TEXT + "the end")
    assert len(ending.text) == MAX_TEXT
    assert ending.text.endswith("the end")


def test_an_end_without_grace_leaves_the_instance_alone(scene: Scene) -> None:
    scene.play(lambda scene: scene.ask("note", 1), Mortal)  # `play` ends like this
    assert stage.log == [1]


def test_asyncio_does_not_complain_of_a_task_that_exit_actor_has_ended(on_loop: Scene) -> None:
    complaints: list[Any] = []

    def body(scene: Scene) -> None:
        scene.ask("note", 1)
        lanes = scene.worker.executor.lanes
        assert lanes is not None
        lanes.loops()[0].set_exception_handler(lambda loop, context: complaints.append(context))
        scene.ask("exit_in_task")
        has_left(scene)

    on_loop.play(body, Mortal)
    gc.collect()
    assert complaints == []


class _Left(BaseException):
    pass


@pytest.fixture
def statuses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """With what a forked child would have ended."""
    found: list[int] = []

    def leave(status: int) -> None:
        found.append(status)
        raise _Left("left")

    monkeypatch.setattr(forked, "leave", leave)
    return found


@pytest.mark.parametrize(
    ("ending", "status", "printed"),
    [
        (Ending("exit", "left"), 0, ""),
        (Ending("crashed", "left", status=3), 3, ""),
        (Ending("creation_failed", "why", graceful=False), 1, "why\n"),
    ],
)
def test_a_forked_child_that_gets_to_the_end_exits_and_tells_nobody(
    scene: Scene, statuses: list[int], ending: Ending, status: int, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.worker.membership.forked = True
    with pytest.raises(_Left, match="left"):
        scene.worker.executor.farewell.carry_out(ending)
    assert statuses == [status]
    assert capsys.readouterr().err == printed
    assert [message for message in scene.worker.node_end.arrived() if isinstance(message, messages.Ending)] == []


class Forking:
    """Its clean-up forks: the test tells that this is the child."""

    def __init__(self, become_child: Callable[[], None]) -> None:
        self.__ray_shutdown__ = become_child


@pytest.mark.parametrize("where", ["__ray_shutdown__", "atexit"])
def test_a_child_that_the_clean_up_has_forked_exits(
    scene: Scene, statuses: list[int], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    executor = scene.worker.executor

    def become_child() -> None:
        scene.worker.membership.forked = True

    if where == "atexit":
        monkeypatch.setattr("atexit._run_exitfuncs", become_child)
    else:
        executor.hosted.instance = Forking(become_child)
    with pytest.raises(_Left, match="left"):
        executor.farewell.carry_out(Ending("exit", "left"))
    assert statuses == [0]
