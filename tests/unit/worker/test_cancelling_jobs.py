"""What a worker does when a process that has made none of its calls asks it to cancel them."""

from __future__ import annotations

from typing import Any

import pytest
from members import WAIT_S
from serving import Scene, stage

from nbactors import exceptions
from nbactors.local.wire import ids, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.testing import eventually

ALL = messages.CancelJobs(b"", CancelMode.INTERRUPT)


class Spinning:
    def spin(self, event: str = "spins") -> None:
        stage.reach(event)
        stage.spin()

    def note(self, what: Any) -> Any:
        stage.log.append(what)
        return what


def spin() -> None:
    Spinning().spin()


def asked(scene: Scene, question: messages.CancelJobs = ALL) -> int:
    """Ask the scene's worker as another process does. Returns how many jobs the worker has found."""
    return scene.worker.asked(question, messages.Canceled).count


def is_cancelled(scene: Scene, ref: Any) -> None:
    with pytest.raises(exceptions.TaskCancelledError, match="was cancelled"):
        scene.get(ref)


def test_all_running_calls_are_interrupted_and_waiting_calls_run(each: Scene) -> None:
    def body(scene: Scene) -> None:
        # An asyncio actor runs plain methods one by one on its loop, so the first of these blocks it.
        concurrency = scene.worker.concurrency
        limit = 1 if concurrency.is_async else concurrency.max_concurrency
        running = [scene.call("spin", str(index)) for index in range(limit)]
        for index in range(limit):
            stage.await_(str(index))
        waiting = scene.call("note", "ran")
        assert asked(scene) == limit
        for ref in running:
            is_cancelled(scene, ref)
        assert scene.get(waiting) == "ran"
        eventually(lambda: asked(scene) == 0, WAIT_S)

    each.play(body, Spinning)
    assert stage.log[0] == "ran"


@pytest.mark.parametrize("mode", [CancelMode.CANCEL, CancelMode.INTERRUPT])
def test_a_waiting_call_never_runs(scene: Scene, mode: CancelMode) -> None:
    def body(scene: Scene) -> None:
        running, waiting = scene.call("spin"), scene.call("note", "ran")
        stage.await_("spins")
        callers = scene.worker.peers.incoming
        eventually(lambda: any(caller.jobs.waiting for caller in callers()), WAIT_S, "the worker has the second call")
        assert asked(scene, messages.CancelJobs(waiting.task_id().binary(), mode)) == 1
        is_cancelled(scene, waiting)
        assert asked(scene, messages.CancelJobs(running.task_id().binary(), CancelMode.INTERRUPT)) == 1
        is_cancelled(scene, running)

    scene.play(body, Spinning)
    assert "ran" not in stage.log


def test_a_job_is_found_by_its_caller_and_number(scene: Scene) -> None:
    def body(scene: Scene) -> None:
        running = scene.call("spin")
        stage.await_("spins")
        task_id = running.task_id().binary()
        assert asked(scene, messages.CancelJobs(b"o" * 16 + task_id[16:], CancelMode.INTERRUPT)) == 0
        unknown = ids.task_id(ids.owner_of(task_id), ids.number_of(task_id) + 1)
        assert asked(scene, messages.CancelJobs(unknown, CancelMode.INTERRUPT)) == 0
        assert asked(scene, messages.CancelJobs(task_id, CancelMode.INTERRUPT)) == 1
        is_cancelled(scene, running)

    scene.play(body, Spinning)


def test_a_running_task_is_cancelled(scene: Scene) -> None:
    def body(scene: Scene) -> None:
        running = scene.task(spin)
        scene.worker.grant(scene.session)
        stage.await_("spins")
        assert asked(scene, messages.CancelJobs(running.task_id().binary(), CancelMode.CANCEL)) == 1
        is_cancelled(scene, running)

    scene.play(body)


def test_the_running_call_of_a_caller_that_has_gone_is_interrupted(each: Scene) -> None:
    def body(scene: Scene) -> None:
        running = scene.call("spin")
        stage.await_("spins")
        worker = scene.worker
        (caller,) = [one for one in worker.peers.incoming() if one.peer_id == scene.session.process_id]
        worker.node_end.tell(messages.ProcessGone(scene.session.process_id, "it has ended"))
        scene.session.leave()
        eventually(lambda: caller not in worker.peers.incoming(), WAIT_S, "the worker notes the end")
        assert asked(scene, messages.CancelJobs(running.task_id().binary(), CancelMode.INTERRUPT)) == 1
        eventually(lambda: not caller.jobs.running, WAIT_S, "the call ends")
        assert asked(scene) == 0

    each.play(body, Spinning)
