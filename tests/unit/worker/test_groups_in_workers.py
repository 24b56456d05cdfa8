"""Actors that run several calls at once: concurrency groups, their limits, threads, loops, and context variables."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest
from members import end_threads
from serving import Scene, stage

from nbactors import exceptions
from nbactors.local.submitting.construction import Concurrency
from nbactors.local.worker.jobs.job import current
from nbactors.local.worker.running import thread_lane
from nbactors.local.worker.running.thread_lane import ThreadLane
from nbactors.testing import eventually

TWO_GROUPS = Concurrency(is_async=False, max_concurrency=1, groups={"io": 2})
TWO_LOOPS = Concurrency(is_async=True, max_concurrency=1, groups={"io": 2})
BOTH = pytest.mark.parametrize("groups", [TWO_GROUPS, TWO_LOOPS], indirect=True, ids=["threads", "loops"])

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


class Grouped:
    def __init__(self) -> None:
        self.running = self.most = 0
        self.local = threading.local()
        self.lock = threading.Lock()

    def thread(self) -> str:
        return threading.current_thread().name

    def wait(self, event: str) -> str:
        stage.reach(f"waits for {event}")
        stage.await_(event)
        return event

    async def wait_async(self, event: str) -> str:
        self.running += 1
        self.most = max(self.most, self.running)
        stage.log.append(event)
        await asyncio.to_thread(stage.await_, event)
        self.running -= 1
        return event

    def measure(self, event: str) -> None:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
            stage.log.append(event)
        stage.await_(event)
        with self.lock:
            self.running -= 1

    def most_at_once(self) -> int:
        return self.most

    def count_on_thread(self) -> int:
        self.local.count = getattr(self.local, "count", 0) + 1
        return int(self.local.count)

    async def set_variable(self, value: int) -> int:
        before = variable.get()
        variable.set(value)
        await asyncio.sleep(0)
        return before

    def which(self) -> str:
        job = current.get()
        return job.name if job is not None else ""

    async def interrupt(self) -> None:
        raise KeyboardInterrupt("by itself")

    async def interrupt_in_task(self) -> str:
        async def interrupt() -> None:
            raise KeyboardInterrupt("by itself")

        stage.log.append(asyncio.ensure_future(interrupt()))
        return "answered"


@BOTH
def test_each_group_has_threads_of_its_own(groups: Scene) -> None:
    def body(scene: Scene) -> set[str]:
        return {scene.ask("thread", group=group) for group in ("", "io", "no_such_group")}

    threads = groups.play(body, Grouped)
    if groups.worker.concurrency.is_async:
        assert threads == {"MainThread", "nbactors-io"}
    else:
        assert threads == {"nbactors-default-1", "nbactors-io-1"}


@BOTH
def test_a_group_that_is_full_holds_up_no_other(groups: Scene) -> None:
    def body(scene: Scene) -> Any:
        blocking = scene.call("wait", "go on")
        stage.await_("waits for go on")
        answer = scene.ask("thread", group="io")
        stage.reach("go on")
        assert scene.get(blocking) == "go on"
        return answer

    assert groups.play(body, Grouped).startswith("nbactors-io")


def test_a_pool_runs_as_many_calls_at_once_as_its_limit(threaded: Scene) -> None:
    def body(scene: Scene) -> int:
        refs = [scene.call("measure", "go on") for _ in range(10)]
        eventually(lambda: len(stage.log) == 4)
        stage.reach("go on")
        for ref in refs:
            scene.get(ref)
        return scene.ask("most_at_once")  # type: ignore[no-any-return]

    assert threaded.play(body, Grouped) == 4


def test_a_loop_runs_as_many_coroutines_at_once_as_its_limit(on_loop: Scene) -> None:
    def body(scene: Scene) -> int:
        refs = [scene.call("wait_async", "go on") for _ in range(10)]
        eventually(lambda: len(stage.log) == 4)
        stage.reach("go on")
        assert [scene.get(ref) for ref in refs] == ["go on"] * 10
        return scene.ask("most_at_once")  # type: ignore[no-any-return]

    assert on_loop.play(body, Grouped) == 4


def test_a_pool_s_threads_are_kept_with_their_local_state(threaded: Scene) -> None:
    """A call may start one more thread, since the first thread is idle only a moment after it has answered."""

    def body(scene: Scene) -> list[int]:
        return [scene.ask("count_on_thread") for _ in range(20)]

    counts = threaded.play(body, Grouped)
    assert counts.count(1) <= 4, "no more threads than the limit"
    assert max(counts) >= 5, "no call has a fresh thread although others are idle"


@BOTH
def test_calls_of_one_group_begin_in_order(groups: Scene) -> None:
    def body(scene: Scene) -> list[Any]:
        return [scene.get(ref) for ref in [scene.call("which") for _ in range(50)]]

    assert groups.play(body, Grouped) == ["Grouped.which"] * 50


def test_calls_know_nothing_of_each_others_context_variables(on_loop: Scene) -> None:
    def body(scene: Scene) -> list[int]:
        return [scene.ask("set_variable", value) for value in (1, 2, 3)]

    assert on_loop.play(body, Grouped) == [0, 0, 0]


def test_keyboard_interrupt_in_a_coroutine_is_its_answer(on_loop: Scene) -> None:
    def body(scene: Scene) -> Any:
        with pytest.raises(exceptions.RayTaskError, match="KeyboardInterrupt: by itself"):
            scene.ask("interrupt")
        return scene.ask("which")

    assert on_loop.play(body, Grouped) == "Grouped.which"


def test_keyboard_interrupt_in_a_task_of_the_actors_own_leaves_the_loop_running(on_loop: Scene) -> None:
    def body(scene: Scene) -> Any:
        assert scene.ask("interrupt_in_task") == "answered"
        eventually(lambda: stage.log[0].done())
        return scene.ask("which")

    assert on_loop.play(body, Grouped) == "Grouped.which"
    with pytest.raises(KeyboardInterrupt, match="by itself"):
        stage.log[0].result()


def test_the_title_is_empty_again_when_nothing_runs(on_loop: Scene) -> None:
    def body(scene: Scene) -> None:
        scene.ask("which")
        eventually(lambda: scene.worker.titles[-1] == "")
        assert scene.worker.titles[-2] == "Grouped.which"

    on_loop.play(body, Grouped)


class Job:
    """As much of a job as a lane of threads wants."""

    def __init__(self, run: Any = None, *, begins: bool = True) -> None:
        self.read_at = self.since = 0.0
        self.thread = 0
        self.run = run
        self._begins = begins

    def begin(self) -> bool:
        return self._begins

    def end(self) -> None: ...


class TestThreadLane:
    """Its threads, with short calls and when it pauses."""

    @pytest.fixture
    def later(self) -> list[Any]:
        """What is to be called on the leader's thread, later."""
        return []

    @pytest.fixture
    def lane(self, later: list[Any]) -> Any:
        def run(job: Any) -> None:
            if job.run is not None:
                job.run()

        lane = ThreadLane("", 2, run, lambda seconds, callback: later.append(callback), lambda: None)
        yield lane
        end_threads(lane)

    def test_calls_wait_until_it_starts(self, lane: ThreadLane) -> None:
        lane.put(Job(lambda: stage.reach("ran")))  # type: ignore[arg-type]
        assert lane.is_busy
        assert lane.has_running
        assert not lane.runs
        lane.start()
        stage.await_("ran")

    def test_one_that_was_cancelled_meanwhile_is_left_out(self, lane: ThreadLane) -> None:
        lane.start()
        lane.put(Job(lambda: stage.reach("cancelled"), begins=False))  # type: ignore[arg-type]
        lane.put(Job(lambda: stage.reach("ran")))  # type: ignore[arg-type]
        stage.await_("ran")
        assert not stage.has_reached("cancelled")

    def test_while_it_pauses_none_begins(self, lane: ThreadLane) -> None:
        lane.start()
        lane.put(Job(lambda: stage.reach("first")))  # type: ignore[arg-type]
        stage.await_("first")
        lane.pause()
        eventually(lambda: not lane.runs)
        lane.put(Job(lambda: stage.reach("second")))  # type: ignore[arg-type]
        eventually(lambda: not lane.runs)
        assert not stage.has_reached("second")
        lane.resume()
        stage.await_("second")

    def test_while_calls_are_short_one_thread_takes_them_and_another_is_woken_when_it_stops_taking(
        self, lane: ThreadLane, later: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(thread_lane, "SHORT_S", 1e9)
        lane.start()
        lane.put(Job(lambda: stage.reach("short")))  # type: ignore[arg-type]
        stage.await_("short")
        eventually(lambda: lane._idle)
        assert lane._is_short
        lane.put(Job(lambda: (stage.reach("taken"), stage.await_("go on"))))  # type: ignore[arg-type]
        stage.await_("taken")
        # The one thread is awake: it will take the next. The watch is set for the case that it does not.
        lane.put(Job(lambda: stage.reach("second")))  # type: ignore[arg-type]
        lane.put(Job(lambda: stage.reach("third")))  # type: ignore[arg-type]
        assert len(later) == 1
        assert lane._count == 1
        later.pop()()
        stage.await_("third")
        assert lane._count == 2
        eventually(lambda: not lane.is_busy)
        later.pop()()  # nothing waits any more: the watch ends
        assert not later
        stage.reach("go on")

    def test_a_call_that_comes_between_the_look_and_the_sleep_is_taken(self, lane: ThreadLane) -> None:
        class Idle(list[Any]):
            """The list of sleepers: a call is queued at the moment when a thread goes to sleep."""

            def append(self, sleeper: Any) -> None:
                super().append(sleeper)
                if not stage.has_reached("between"):
                    stage.reach("between")
                    lane._jobs.append(Job(lambda: stage.reach("ran")))  # type: ignore[arg-type]

        lane._idle = Idle()
        lane.start()
        lane.put(Job())  # type: ignore[arg-type]
        stage.await_("ran")
        assert not lane._jobs

    def test_a_sleeper_that_is_woken_at_that_moment_goes_on(self, lane: ThreadLane) -> None:
        class Idle(list[Any]):
            def append(self, sleeper: Any) -> None:
                super().append(sleeper)
                if not stage.has_reached("between"):
                    stage.reach("between")
                    lane.put(Job(lambda: stage.reach("ran")))  # type: ignore[arg-type]

        lane._idle = Idle()
        lane.start()
        lane.put(Job())  # type: ignore[arg-type]
        stage.await_("ran")
        lane.put(Job(lambda: stage.reach("next")))  # type: ignore[arg-type]
        stage.await_("next")
        assert not lane._jobs

    def test_never_more_threads_than_its_limit(self, lane: ThreadLane) -> None:
        lane.start()
        for _ in range(2):
            lane.put(Job(lambda: stage.await_("go on")))  # type: ignore[arg-type]
        lane._spawn()  # as of two that have looked at the same time
        lane._spawn()
        assert lane._count == 2
        stage.reach("go on")
