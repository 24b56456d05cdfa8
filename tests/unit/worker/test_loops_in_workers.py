"""The event loops of an asyncio actor, and the reactor on the main one."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
from serving import Scene, stage

from nbactors.in_worker.loop_blocking import LoopBlocking
from nbactors.local.reactor.timers import NEVER
from nbactors.local.worker.jobs.hosted import Hosted
from nbactors.local.worker.running.actor_loop import new_loop
from nbactors.local.worker.running.answers import Answers
from nbactors.local.worker.running.loop_host import LoopHost
from nbactors.local.worker.running.loop_lane import LoopLane


class OnLoop:
    def __init__(self) -> None:
        self.notice = LoopBlocking().notice

    def note(self, what: Any) -> Any:
        return what

    async def note_async(self, what: Any) -> Any:
        self.notice()
        self.notice()
        return what


def leave_loop(instance: Any, executor_of: Any) -> None:
    """Fork, as far as the loop is concerned: what gets control back is the end of the child."""
    lanes = stage.log[0]
    asyncio.get_running_loop().call_soon(stage.log.append, "another callback")
    lanes.leave_loop(lambda: stage.log.append("the end"))


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = new_loop()
    yield made
    made.close()


class Performer:
    def catch_up(self) -> None: ...


class Reactor:
    """With nothing to do, and led by nobody."""

    def __init__(self) -> None:
        self.visits = 0
        self.timer_due = NEVER
        self.is_led = False

    def fileno(self) -> int:
        return self._fd

    _fd = 0

    def visit(self) -> bool:
        self.visits += 1
        return True


def turn(loop: asyncio.AbstractEventLoop, times: int = 2) -> None:
    for _ in range(times):
        loop.run_until_complete(asyncio.sleep(0))


class TestHost:
    @pytest.fixture
    def host(self, loop: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(loop, "add_reader", lambda *_: None)
        reactor = Reactor()
        made: Any = LoopHost(reactor, loop, reactor.visit)  # type: ignore[arg-type]
        made.reactor = reactor
        return made

    def test_a_nudge_makes_it_visit_once(self, host: Any, loop: asyncio.AbstractEventLoop) -> None:
        host.nudge()
        host.nudge()
        turn(loop)
        assert host.reactor.visits == 1
        host.nudge()
        turn(loop)
        assert host.reactor.visits == 2

    def test_it_visits_when_a_timer_is_due(self, host: Any, loop: asyncio.AbstractEventLoop) -> None:
        host.reactor.timer_due = 0.0
        host.nudge()
        turn(loop, 4)
        host.reactor.timer_due = NEVER
        assert host.reactor.visits >= 2
        turn(loop, 4)
        assert host._timer is None

    def test_it_keeps_its_timer_while_it_is_the_next_one(self, host: Any, loop: asyncio.AbstractEventLoop) -> None:
        host.reactor.timer_due = monotonic() + 60
        host.nudge()
        turn(loop)
        timer = host._timer
        host.nudge()
        turn(loop)
        assert host.reactor.visits == 2
        assert host._timer is timer
        host.reactor.timer_due -= 1
        host.nudge()
        turn(loop)
        assert timer.cancelled()
        assert not host._timer.cancelled()

    def test_it_sets_its_timer_also_if_a_call_that_it_begins_raises(
        self, host: Any, loop: asyncio.AbstractEventLoop
    ) -> None:
        def raises() -> bool:
            raise LookupError("as of a signal handler")

        told: list[Any] = []
        loop.set_exception_handler(lambda loop, context: told.append(context["exception"].args))
        host._visit_reactor = raises
        host.reactor.timer_due = monotonic() + 60
        host.nudge()
        turn(loop)
        assert told == [("as of a signal handler",)]
        assert host._timer is not None
        host._timer.cancel()

    def test_the_loop_is_idle_once_it_has_answered(self, host: Any, loop: asyncio.AbstractEventLoop) -> None:
        assert not host.is_idle()
        assert not host.is_idle()
        turn(loop)
        assert host.is_idle()
        assert not host.is_idle()

    def test_a_leader_that_leaves_and_was_not_missed_changes_nothing(self, host: Any) -> None:
        host.left()
        assert not host._away

    def test_a_loop_that_is_closed_is_not_nudged_any_more(self, host: Any, loop: asyncio.AbstractEventLoop) -> None:
        loop.close()
        host.nudge()
        assert host._due, "so the reactor does not try again"


class TestLane:
    @pytest.fixture
    def lane(self, loop: asyncio.AbstractEventLoop) -> LoopLane:
        return LoopLane(loop, 1, Performer(), lambda: None)  # type: ignore[arg-type]

    def test_what_ends_a_child_comes_before_all_that_the_loop_is_about_to_call(
        self, lane: LoopLane, loop: asyncio.AbstractEventLoop
    ) -> None:
        loop.call_soon(stage.log.append, "another")
        lane.call_next(lambda: stage.log.append("next"))
        turn(loop)
        assert stage.log == ["next", "another"]

    def test_a_lane_whose_loop_is_closed_calls_nothing_any_more(
        self, lane: LoopLane, loop: asyncio.AbstractEventLoop
    ) -> None:
        loop.close()
        lane.soon(lambda: stage.log.append("called"))
        assert stage.log == []

    def test_a_call_that_is_not_awaited_any_more_is_not_cancelled(
        self, lane: LoopLane, loop: asyncio.AbstractEventLoop
    ) -> None:
        class Job:
            task = None

        lane.cancel(Job())  # type: ignore[arg-type]
        turn(loop)
        assert asyncio.all_tasks(loop) == set()


def test_a_child_that_a_method_forks_ends_when_the_loop_gets_control_back(on_loop: Scene) -> None:
    def body(scene: Scene) -> None:
        scene.ask("note", 1)
        stage.log.append(scene.worker.executor.lanes)
        scene.ask("__ray_call__", leave_loop, None)
        scene.ask("note", 2)

    on_loop.play(body, OnLoop)
    assert stage.log[1:] == ["the end", "another callback"]


def test_a_lack_of_memory_on_the_way_to_the_answer_is_the_answer(
    on_loop: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = [MemoryError("no room for the answer")]
    enter = Hosted.enter

    def enter_without_memory(hosted: Hosted, job: Any) -> None:
        if lacks:
            raise lacks.pop()
        enter(hosted, job)

    monkeypatch.setattr(Answers, "_give_quickly", lambda *_: False)
    monkeypatch.setattr(Hosted, "enter", enter_without_memory)

    def body(scene: Scene) -> Any:
        with pytest.raises(MemoryError, match="no room for the answer"):
            scene.ask("note_async", 1)
        return scene.ask("note_async", 2)

    assert on_loop.play(body, OnLoop) == 2
    assert not lacks


def test_uvloop_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = object()
    uvloop = types.ModuleType("uvloop")
    uvloop.new_event_loop = lambda: made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uvloop", uvloop)
    assert new_loop() is made


def test_blocking_the_loop_is_told_once_with_the_line_that_does(
    on_loop: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(scene: Scene) -> None:
        scene.ask("note_async", 1)
        scene.ask("note_async", 2)

    on_loop.play(body, OnLoop)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(__file__)
    assert "Using blocking ray.get inside async actor" in line


def test_waiting_elsewhere_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    LoopBlocking().notice()
    assert capsys.readouterr().err == ""
