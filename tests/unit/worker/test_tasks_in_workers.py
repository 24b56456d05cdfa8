"""Tasks in a worker: their leases, what is given back behind a long one, and what is tried again."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from serving import Scene, stage

from nbactors import exceptions
from nbactors.local.wire import messages
from nbactors.local.worker.running import executor
from nbactors.testing import eventually


def run(reached: str = "", awaited: str = "") -> str:
    stage.log.append("begun")
    if awaited:
        stage.reach(reached)
        stage.await_(awaited)
    return "returned"


def fail(kind: str) -> None:
    stage.log.append("begun")
    raise {"LookupError": LookupError, "KeyboardInterrupt": KeyboardInterrupt}[kind]("no such thing")


def add(first: Any, second: Any = 0) -> Any:
    return first + second


class Unimportable:
    def __call__(self) -> None: ...

    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise LookupError("not here")


def test_a_task_gets_its_arguments_and_shows_its_name(scene: Scene) -> None:
    def body(scene: Scene) -> Any:
        ref = scene.session.submit(add, scene.session.put(1), second=2)
        scene.worker.grant(scene.session)
        return scene.get(ref)

    assert scene.play(body) == 3
    assert "add" in scene.worker.titles


def test_a_task_that_is_named_shows_that_name(scene: Scene) -> None:
    def body(scene: Scene) -> Any:
        ref = scene.task(run, name="sum of it")
        scene.worker.grant(scene.session)
        return scene.get(ref)

    assert scene.play(body) == "returned"
    assert "sum of it" in scene.worker.titles


def test_a_task_waits_for_word_of_its_lease(scene: Scene) -> None:
    """The node's word to the worker and the task itself take different ways."""

    def body(scene: Scene) -> Any:
        ref = scene.task(run)
        request = scene.session.node_end.expect(messages.RequestLease)
        grant = messages.LeaseGranted(request.rid, 7, scene.worker.process_id, os.getpid())
        scene.session.node_end.tell(grant)
        eventually(lambda: scene.worker.executor._lease_waiter)
        assert stage.log == []
        scene.worker.executor.assigned(7)
        return scene.get(ref)

    assert scene.play(body) == "returned"


def test_a_task_runs_although_word_of_its_lease_never_comes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "LEASE_S", 0.01)

    def body(scene: Scene) -> Any:
        ref = scene.task(run)
        request = scene.session.node_end.expect(messages.RequestLease)
        scene.session.node_end.tell(messages.LeaseGranted(request.rid, 7, scene.worker.process_id, os.getpid()))
        return scene.get(ref)

    assert scene.play(body) == "returned"


@pytest.mark.usefixtures("ahead")
class TestGivingBack:
    def test_a_task_behind_a_long_one_is_given_back(self, scene: Scene) -> None:
        def body(scene: Scene) -> None:
            begun = scene.task(run)
            scene.worker.grant(scene.session)
            scene.get(begun)
            running = scene.task(run, "waits", "go on")
            behind = scene.task(run)
            # The submitter asks for another worker, for the task that has come back.
            stage.await_("waits")
            scene.session.node_end.expect(messages.RequestLease)
            assert stage.log == ["begun", "begun"]
            stage.reach("go on")
            assert [scene.get(running), scene.get(behind)] == ["returned"] * 2

        scene.play(body)
        assert stage.log == ["begun"] * 3

    def test_a_blocked_task_has_the_others_given_back_in_order(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[messages.GivenBack] = []
        scene.session.peers.handlers[messages.GivenBack] = lambda connection, message: given.append(message)
        monkeypatch.setattr(executor, "LONG_S", 1000.0)

        def body(scene: Scene) -> None:
            for _ in range(3):
                begun = scene.task(run)
                if not stage.log:
                    scene.worker.grant(scene.session)
                scene.get(begun)
            running = scene.task(run, "waits", "go on")
            stage.await_("waits")
            behind = [scene.task(run) for _ in range(3)]
            eventually(lambda: len(scene.worker.executor._jobs) == 3)
            scene.worker.executor.give_back()
            eventually(lambda: given)
            stage.reach("go on")
            scene.get(running)
            numbers = [ref._entry.call.number for ref in behind]
            assert given == [messages.GivenBack(numbers)]

        scene.play(body)

    def test_a_worker_that_has_run_a_function_often_enough_gives_all_others_back(self, scene: Scene) -> None:
        given: list[messages.GivenBack] = []
        scene.session.peers.handlers[messages.GivenBack] = lambda connection, message: given.append(message)

        def body(scene: Scene) -> None:
            first = scene.task(run, max_calls=2)
            scene.worker.grant(scene.session)
            assert scene.get(first) == "returned"
            assert given == []
            assert scene.get(scene.task(run, max_calls=2)) == "returned"
            assert scene.worker.node_end.expect(messages.Spent) == messages.Spent()
            eventually(lambda: given)
            scene.task(run, max_calls=2)  # sent before the message was read
            eventually(lambda: len(given) == 2)
            assert given == [messages.GivenBack([], is_spent=True)] * 2

        scene.play(body)
        assert stage.log == ["begun"] * 2

    def test_a_task_that_is_queued_while_the_others_are_given_back_does_not_run(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(executor, "LONG_S", 1000.0)  # else it is given back
        worker = scene.worker.executor

        def body(scene: Scene) -> None:
            for _ in range(3):
                begun = scene.task(run)
                if not stage.log:
                    scene.worker.grant(scene.session)
                scene.get(begun)
            running = scene.task(run, "waits", "go on")
            stage.await_("waits")
            scene.task(run)
            eventually(lambda: worker._jobs)
            worker.is_retired = True  # as the main thread sets it after the leader's thread has read it
            stage.reach("go on")
            scene.get(running)
            eventually(lambda: not worker._jobs)

        scene.play(body)
        assert stage.log == ["begun"] * 4

    def test_the_end_of_the_worker_stays_queued(self, scene: Scene) -> None:
        worker = scene.worker.executor
        worker.end(executor.Ending("exit", "the first", graceful=False))
        worker.end(executor.Ending("exit", "the second", graceful=False))
        worker.give_back()
        assert [ending.text for ending in worker._jobs] == ["the first", "the second"]  # type: ignore[union-attr]

    def test_nothing_is_given_back_by_an_idle_worker(self, scene: Scene) -> None:
        worker = scene.worker.executor
        worker.end(executor.Ending("exit", "the end", graceful=False))
        worker._look_for_long()
        assert len(worker._jobs) == 1

    def test_a_task_is_given_back_that_comes_when_the_running_one_is_long_and_all_threads_sleep(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The running one may wait for it, directly or not. So neither may wait for a thread that wakes by chance."""

        def body(scene: Scene) -> None:
            begun = scene.task(run)
            scene.worker.grant(scene.session)
            scene.get(begun)
            running = scene.task(run, "waits", "go on")
            stage.await_("waits")
            reactor = scene.worker.reactor
            eventually(lambda: reactor._sleeping and reactor.is_led and not reactor.followers)
            behind = scene.task(run)
            scene.session.node_end.expect(messages.RequestLease)
            stage.reach("go on")
            assert [scene.get(running), scene.get(behind)] == ["returned"] * 2

        scene.play(body)


class TestRetries:
    @pytest.mark.parametrize("allowed", [True, (KeyError, LookupError)])
    def test_an_exception_that_may_be_retried_runs_the_task_again(self, scene: Scene, allowed: Any) -> None:
        def body(scene: Scene) -> None:
            ref = scene.task(fail, "LookupError", max_retries=2, retry_exceptions=allowed)
            scene.worker.grant(scene.session)
            with pytest.raises(LookupError, match="no such thing"):
                scene.get(ref)

        scene.play(body)
        assert stage.log == ["begun"] * 3

    @pytest.mark.parametrize(
        ("kind", "allowed"), [("LookupError", False), ("LookupError", (TypeError,)), ("KeyboardInterrupt", True)]
    )
    def test_any_other_does_not(self, scene: Scene, kind: str, allowed: Any) -> None:
        def body(scene: Scene) -> None:
            ref = scene.task(fail, kind, max_retries=2, retry_exceptions=allowed)
            scene.worker.grant(scene.session)
            with pytest.raises(exceptions.RayTaskError, match=f"{kind}: no such thing"):
                scene.get(ref)

        scene.play(body)
        assert stage.log == ["begun"]


class TestFunctions:
    def test_a_function_that_cannot_be_unpickled_fails_its_task(self, scene: Scene) -> None:
        def body(scene: Scene) -> None:
            broken = Unimportable()
            broken.__name__ = "broken"  # type: ignore[attr-defined]
            ref = scene.task(broken, max_retries=0)
            scene.worker.grant(scene.session)
            with pytest.raises(LookupError, match="not here"):
                scene.get(ref)

        scene.play(body)

    @pytest.mark.usefixtures("ahead")
    def test_a_function_is_unpickled_once(self, scene: Scene) -> None:
        def body(scene: Scene) -> None:
            for _ in range(3):
                ref = scene.task(run)
                if not stage.log:
                    scene.worker.grant(scene.session)
                scene.get(ref)

        scene.play(body)
        ((function, _),) = scene.worker.executor.performer._functions.values()
        assert function is run

    def test_one_that_is_needed_no_more_is_forgotten(self, scene: Scene) -> None:
        def body(scene: Scene) -> None:
            ref = scene.task(run)
            scene.worker.grant(scene.session)
            scene.get(ref)
            assert scene.worker.executor.performer._functions
            del scene.session._functions[run]
            gc.collect()
            eventually(lambda: not scene.worker.executor.performer._functions)

        scene.play(body)
