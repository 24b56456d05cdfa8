"""What a cancel does to a call in its worker: queued, running, awaiting, streaming, in each mode."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from members import ONE_BY_ONE
from serving import Scene, stage, within

from nbactors import exceptions
from nbactors.local import current
from nbactors.local.objects.entry import Entry
from nbactors.local.submitting.construction import Concurrency
from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.local.worker.running import executor, interrupts
from nbactors.options.num_returns import STREAMING
from nbactors.testing import eventually


class Cancelled:
    def note(self, what: Any) -> Any:
        stage.log.append(what)
        return what

    def wait(self, event: str = "go on") -> str:
        stage.reach("waits")
        stage.await_(event)
        return event

    def spin(self) -> None:
        stage.reach("waits")
        try:
            stage.spin()
        finally:
            stage.log.append("unwound")

    def swallow(self) -> str:
        stage.reach("waits")
        try:
            stage.spin()
        except KeyboardInterrupt:
            return "swallowed"
        return "never"

    def exit(self) -> None:
        stage.reach("waits")
        try:
            stage.spin()
        except KeyboardInterrupt:
            raise SystemExit(3) from None

    def fail(self) -> None:
        stage.reach("waits")
        try:
            stage.spin()
        except KeyboardInterrupt:
            raise LookupError("no such thing") from None

    def ignore(self) -> str:
        stage.reach("waits")
        pause = threading.Event()
        while not stage.has_reached("go on"):
            try:
                pause.wait(0.001)
            except KeyboardInterrupt:
                stage.log.append("ignored")
        return "at last"

    def stream(self) -> Iterator[int]:
        try:
            for index in range(10**9):
                if index == 3:
                    stage.reach("waits")
                yield index
        finally:
            stage.log.append("closed")

    async def sleep(self) -> None:
        stage.reach("waits")
        try:
            await asyncio.sleep(60)
        finally:
            stage.log.append("unwound")

    async def swallow_async(self) -> str:
        stage.reach("waits")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "swallowed"
        return "never"

    async def cancel_itself(self) -> None:
        raise asyncio.CancelledError("of its own accord")


def spin() -> None:
    Cancelled().spin()


def swallow() -> str:
    return Cancelled().swallow()


def ignore() -> str:
    return Cancelled().ignore()


def nothing(reached: str = "", awaited: str = "") -> str:
    stage.log.append("begun")
    if awaited:
        stage.reach(reached)
        stage.await_(awaited)
    return "nothing"


GROUPED = [ONE_BY_ONE, Concurrency(False, 1, {"io": 1}), Concurrency(True, 1, {"io": 1})]
INTERRUPTING = [CancelMode.INTERRUPT, CancelMode.TIMEOUT]


def is_cancelled(scene: Scene, ref: Any, text: str = "was cancelled") -> exceptions.TaskCancelledError:
    with pytest.raises(exceptions.TaskCancelledError, match=text) as raised:
        scene.get(ref)
    return raised.value


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ignores an interrupt is interrupted again, and given up, without delay."""
    monkeypatch.setattr(interrupts, "PATIENCE_S", 0.01)
    monkeypatch.setattr(interrupts, "RETRY_S", 0.005)


class TestQueued:
    @pytest.mark.parametrize("mode", [CancelMode.CANCEL, *INTERRUPTING])
    def test_it_never_begins(self, each: Scene, mode: CancelMode) -> None:
        limit = each.worker.concurrency.max_concurrency

        def body(scene: Scene) -> None:
            # An asyncio actor runs plain methods one by one on its loop, so the first of these blocks it.
            running = [scene.call("wait") for _ in range(limit)]
            stage.await_("waits")
            queued = scene.call("note", "queued")
            scene.cancel(queued, mode)
            error = is_cancelled(scene, queued)
            assert isinstance(error, exceptions.CallTimeoutError) == (mode is CancelMode.TIMEOUT)
            stage.reach("go on")
            assert [scene.get(ref) for ref in running] == ["go on"] * limit

        each.play(body, Cancelled)
        assert stage.log == []

    def test_a_time_limit_tells_that_it_was_queued(self, scene: Scene) -> None:
        def body(scene: Scene) -> None:
            running = scene.call("wait")
            stage.await_("waits")
            queued = scene.call("note", "queued", options=within(0.01))
            error = is_cancelled(scene, queued)
            assert isinstance(error, exceptions.CallTimeoutError)
            assert (error.phase, error.timeout_s) == ("queued", 0.01)
            stage.reach("go on")
            scene.get(running)

        scene.play(body, Cancelled)

    def test_a_call_that_has_returned_cannot_be_cancelled(self, each: Scene) -> None:
        def body(scene: Scene) -> Any:
            ref = scene.call("note", 1)
            scene.get(ref)
            connection = next(iter(scene.worker.peers.incoming()))
            for number in (1, 99):
                late = messages.Cancel(number, CancelMode.INTERRUPT, True)
                scene.worker.executor.on_cancel(connection, late)
            return scene.ask("note", 2)

        assert each.play(body, Cancelled) == 2


class TestRunningMethod:
    def test_cancel_lets_it_go_on_and_return_in_vain(self, each: Scene) -> None:
        def body(scene: Scene) -> None:
            ref = scene.call("wait")
            stage.await_("waits")
            scene.cancel(ref)
            connection = next(iter(scene.worker.peers.incoming()))
            eventually(lambda: all(job.cancel is not None for job in connection.jobs.running.values()))
            stage.reach("go on")
            is_cancelled(scene, ref)

        each.play(body, Cancelled)

    @pytest.mark.parametrize("method", ["spin", "swallow", "exit", "fail"])
    def test_interrupt_raises_in_it_and_its_caller_gets_that_it_was_cancelled(self, each: Scene, method: str) -> None:
        def body(scene: Scene) -> Any:
            ref = scene.call(method)
            stage.await_("waits")
            scene.cancel(ref, CancelMode.INTERRUPT)
            is_cancelled(scene, ref)
            return scene.ask("note", "the next call")

        assert each.play(body, Cancelled) == "the next call"
        assert stage.log == (["unwound"] if method == "spin" else []) + ["the next call"]
        assert each.worker.status == 0

    def test_the_error_has_the_traceback_of_where_it_was(self, each: Scene) -> None:
        def body(scene: Scene) -> None:
            ref = scene.call("spin")
            stage.await_("waits")
            scene.cancel(ref, CancelMode.INTERRUPT)
            assert "in spin" in str(is_cancelled(scene, ref))

        each.play(body, Cancelled)

    def test_a_time_limit_interrupts_it_and_tells_that_it_ran(self, each: Scene) -> None:
        def body(scene: Scene) -> None:
            error = is_cancelled(scene, scene.call("spin", options=within(0.05)))
            assert isinstance(error, exceptions.CallTimeoutError)
            assert (error.phase, error.timeout_s) == ("running", 0.05)

        each.play(body, Cancelled)

    @pytest.mark.usefixtures("impatient")
    def test_a_call_that_ignores_two_interrupts_is_given_up_and_goes_on(self, each: Scene) -> None:
        def body(scene: Scene) -> Any:
            ref = scene.call("ignore")
            stage.await_("waits")
            scene.cancel(ref, CancelMode.INTERRUPT)
            is_cancelled(scene, ref, r"ignored two interrupts.* kill\(handle\) ends its process")
            stage.reach("go on")
            return scene.ask("note", "the next call")

        assert each.play(body, Cancelled) == "the next call"
        assert stage.log == ["ignored"] * 2 + ["the next call"]

    def test_a_wait_for_a_result_is_interrupted(self, each: Scene) -> None:
        def body(scene: Scene) -> None:
            ref = scene.call("__ray_call__", wait_for_ever)
            stage.await_("waits")
            scene.cancel(ref, CancelMode.INTERRUPT)
            is_cancelled(scene, ref)

        each.play(body, Cancelled)

    def test_its_children_are_cancelled_with_it(self, each: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        cancelled: list[Any] = []
        monkeypatch.setattr(
            each.worker.executor, "_cancel_children", lambda job, mode: cancelled.append((job.name, mode))
        )

        def body(scene: Scene) -> None:
            ref = scene.call("spin")
            stage.await_("waits")
            scene.cancel(ref, CancelMode.INTERRUPT, recursive=True)
            is_cancelled(scene, ref)

        each.play(body, Cancelled)
        assert cancelled == [("Cancelled.spin", CancelMode.INTERRUPT)]


def wait_for_ever(instance: Any) -> None:
    worker = current.member()
    stage.reach("waits")
    worker.objects.waiting.get_one(Entry(worker.objects, next(worker.numbers)), None)


class SlowArgument:
    """Takes its time to be unpickled."""

    def __reduce__(self) -> Any:
        return _unpickle_slowly, ()


def _unpickle_slowly() -> str:
    stage.reach("waits")
    stage.await_("go on")
    return "unpickled"


class TestWhileItsArgumentsAreUnpickled:
    @pytest.mark.parametrize("group", ["", "io"])
    @pytest.mark.parametrize("groups", GROUPED, indirect=True, ids=["plain", "threads", "loops"])
    def test_it_never_begins(self, groups: Scene, group: str) -> None:
        def body(scene: Scene) -> None:
            ref = scene.call("note", SlowArgument(), group=group)
            stage.await_("waits")
            scene.cancel(ref)
            connection = next(iter(scene.worker.peers.incoming()))
            eventually(lambda: all(job.cancel is not None for job in connection.jobs.running.values()))
            stage.reach("go on")
            is_cancelled(scene, ref)

        groups.play(body, Cancelled)
        assert stage.log == []


class TestGenerator:
    @pytest.mark.parametrize("mode", [CancelMode.CANCEL, *INTERRUPTING])
    def test_it_yields_no_more_and_is_closed(self, each: Scene, mode: CancelMode) -> None:
        def body(scene: Scene) -> None:
            stream = scene.call("stream", num_returns=STREAMING)
            stage.await_("waits")
            scene.cancel(stream.completed(), mode)
            is_cancelled(scene, stream.completed())

        each.play(body, Cancelled)
        assert stage.log == ["closed"]


class TestCoroutine:
    @pytest.mark.parametrize("mode", [CancelMode.CANCEL, *INTERRUPTING])
    @pytest.mark.parametrize("method", ["sleep", "swallow_async"])
    def test_it_gets_cancelled_error_where_it_awaits(self, on_loop: Scene, mode: CancelMode, method: str) -> None:
        def body(scene: Scene) -> Any:
            ref = scene.call(method)
            stage.await_("waits")
            scene.cancel(ref, mode)
            is_cancelled(scene, ref)
            return scene.ask("note", "the next call")

        assert on_loop.play(body, Cancelled) == "the next call"
        assert stage.log == (["unwound"] if method == "sleep" else []) + ["the next call"]

    def test_one_that_cancels_itself_fails(self, on_loop: Scene) -> None:
        on_loop.play(lambda scene: is_cancelled(scene, scene.call("cancel_itself"), "of its own accord"), Cancelled)

    def test_a_coroutine_that_was_cancelled_before_its_first_turn_never_begins(self, on_loop: Scene) -> None:
        def body(scene: Scene) -> None:
            blocking = scene.call("wait")
            stage.await_("waits")
            cancelled = scene.call("sleep")
            scene.cancel(cancelled)
            is_cancelled(scene, cancelled)
            stage.reach("go on")
            scene.get(blocking)

        on_loop.play(body, Cancelled)
        assert stage.log == []


class TestTask:
    def test_cancel_interrupts_it_once(self, scene: Scene) -> None:
        def body(scene: Scene) -> None:
            ref = scene.task(spin, max_retries=0)
            scene.worker.grant(scene.session)
            stage.await_("waits")
            scene.cancel(ref)
            is_cancelled(scene, ref)

        scene.play(body)
        assert stage.log == ["unwound"]

    def test_what_it_makes_of_the_interrupt_counts(self, scene: Scene) -> None:
        def body(scene: Scene) -> Any:
            ref = scene.task(swallow)
            scene.worker.grant(scene.session)
            stage.await_("waits")
            scene.cancel(ref)
            return scene.get(ref)

        assert scene.play(body) == "swallowed"

    @pytest.mark.usefixtures("impatient")
    def test_it_is_interrupted_once_and_may_take_its_time(self, scene: Scene) -> None:
        def body(scene: Scene) -> Any:
            ref = scene.task(ignore)
            scene.worker.grant(scene.session)
            stage.await_("waits")
            scene.cancel(ref)
            eventually(lambda: stage.log and not scene.worker.executor.interrupts._pursuits)
            stage.reach("go on")
            return scene.get(ref)

        assert scene.play(body) == "at last"
        assert stage.log == ["ignored"]

    @pytest.mark.usefixtures("impatient")
    def test_one_that_ignores_two_interrupts_is_told_of_force(self, scene: Scene) -> None:
        def body(scene: Scene) -> None:
            ref = scene.task(ignore)
            scene.worker.grant(scene.session)
            stage.await_("waits")
            scene.cancel(ref, CancelMode.INTERRUPT)
            is_cancelled(scene, ref, r"cancel\(ref, force=True\) ends its process")
            stage.reach("go on")

        scene.play(body)

    def test_force_ends_its_process(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        statuses: list[int] = []
        monkeypatch.setattr(scene.worker.executor, "_leave", statuses.append)

        def body(scene: Scene) -> None:
            ref = scene.task(ignore, max_retries=0)
            scene.worker.grant(scene.session)
            stage.await_("waits")
            scene.cancel(ref, CancelMode.FORCE)
            eventually(lambda: statuses)
            stage.reach("go on")

        scene.play(body)
        assert statuses == [1]

    @pytest.mark.usefixtures("ahead")
    def test_one_that_waits_behind_another_never_begins(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        def body(scene: Scene) -> None:
            begun = scene.task(nothing)
            scene.worker.grant(scene.session)
            scene.get(begun)
            monkeypatch.setattr(executor, "LONG_S", 1000.0)  # else it is given back
            running = scene.task(nothing, "waits", "go on")
            stage.await_("waits")
            queued = scene.task(nothing)
            eventually(lambda: queued._entry.call.connection is not None)
            scene.cancel(queued, CancelMode.INTERRUPT)
            is_cancelled(scene, queued)
            stage.reach("go on")
            scene.get(running)

        scene.play(body)
        assert stage.log == ["begun", "begun"]
