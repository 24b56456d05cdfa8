"""The calls of an asyncio actor on its own loop: by the compiled part, each takes its first step when it begins."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest

from nbactors import speedups
from nbactors.local.wire import messages
from nbactors.local.worker.jobs.caller_jobs import CallerJobs
from nbactors.local.worker.jobs.hosted import Hosted
from nbactors.local.worker.jobs.job import Job, current
from nbactors.local.worker.running.actor_loop import new_loop
from nbactors.local.worker.running.loop_lane import LoopLane
from nbactors.local.worker.running.loop_performer import LoopPerformer
from nbactors.local.worker.running.performer import Performer

is_compiled = speedups.compiled is not None
only_compiled = pytest.mark.skipif(not is_compiled, reason=f"no compiled part: {speedups.why_not}")

variable: ContextVar[str] = ContextVar("variable", default="none")


class Actor:
    """The instance, whose methods note what they see."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def ends_at_once(self) -> str:
        self.seen.append("ends_at_once")
        return "result"

    async def waits(self) -> str:
        self.seen.append("waits")
        await asyncio.sleep(0)
        self.seen.append("goes on")
        return "later"

    async def waits_long(self) -> None:
        await asyncio.sleep(60)
        self.seen.append("goes on")

    async def looks_around(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        job = current.get()
        assert job is not None
        self.seen.append((task in asyncio.all_tasks(), job.task is task, variable.get(), gc.isenabled()))
        variable.set("of a call")
        asyncio.get_running_loop().call_soon(self.seen.append, "callback")
        self.seen.append(await asyncio.create_task(self.ends_at_once()))

    async def fails(self) -> None:
        raise LookupError("fails")

    async def is_interrupted(self) -> None:
        raise KeyboardInterrupt

    async def items(self) -> Any:
        yield 1

    def plain(self) -> str:
        self.seen.append("plain")
        return "plain"

    def fails_plainly(self) -> None:
        raise LookupError("fails plainly")

    def returns_a_coroutine(self) -> Coroutine[Any, Any, str]:
        return self.ends_at_once()


class Answers:
    """Notes the answers."""

    def __init__(self) -> None:
        self.given: list[tuple[int, Any]] = []
        self.quickly = True

    def _give_quickly(self, job: Job, result: Any) -> bool:
        if self.quickly and job.cancel is None and isinstance(result, (str, type(None))):
            self.give(job, result)
            return True
        return False

    def give(self, job: Job, result: Any) -> None:
        self.given.append((job.message.number, result))

    def fail(self, job: Job, error: BaseException) -> None:
        self.given.append((job.message.number, repr(error)))

    def fail_canceled(self, job: Job, error: BaseException) -> None:
        self.given.append((job.message.number, "cancelled"))

    def refuse(self, job: Job, *_: Any) -> None:
        self.given.append((job.message.number, "refused"))


class Stage:
    """An actor with its loop, as far as its calls want one. The test turns the loop."""

    def __init__(self, limit: int = 3) -> None:
        self.loop: Any = new_loop()
        self.answers = Answers()
        self.actor = Actor()
        self.hosted = hosted = Hosted()
        hosted.class_name, hosted.instance = "Actor", self.actor
        self.performer = performer = Performer.__new__(Performer)
        performer.hosted, performer.answers, performer.memory = hosted, self.answers, None  # type: ignore[assignment]
        performer._output = SimpleNamespace(descriptors_origin=0)  # type: ignore[assignment]
        performer.title = SimpleNamespace(label="Actor.method", begin=lambda *_: None)  # type: ignore[assignment]
        performer.leave_by = lambda *_: None
        performer.reactor = SimpleNamespace(catch_up=lambda: None)  # type: ignore[assignment]
        performer.prepare = lambda job: (getattr(self.actor, job.message.method), (), {})  # type: ignore[method-assign]
        performer.deliver = lambda job, result: self.answers.give(job, result)  # type: ignore[method-assign]
        self.idle: list[str] = []
        self.lane = LoopLane(self.loop, limit, LoopPerformer(performer), lambda: self.idle.append("idle"))
        self.lane._ident = threading.get_ident()
        self.lane._started = True
        self.caller: Any = SimpleNamespace(jobs=CallerJobs(None), peer_id=b"p" * 16)
        self.jobs: list[Job] = []

    def put(self, *methods: str) -> None:
        for method in methods:
            message = messages.Call(len(self.jobs) + 1, method, b"")
            self.hosted.names[method] = self.performer.title.label
            job = Job(self.caller, message, None, [])
            self.caller.jobs.waiting[message.number] = job
            self.jobs.append(job)
            self.lane._jobs.append(job)

    def admit(self) -> None:
        """Start calls, as a callback of the loop."""
        self.loop.call_soon(self.lane._admit)
        self.turn(1)

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def play(self, *methods: str) -> list[tuple[int, Any]]:
        """Call methods, and return the answers to them."""
        self.put(*methods)
        self.admit()
        self.turn(40)
        return self.answers.given

    def close(self) -> None:
        self.turn(12)
        self.loop.close()


@pytest.fixture(params=["compiled", "Python"])
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    if request.param == "Python":
        monkeypatch.setattr(LoopLane, "_admit_quickly", lambda *_: False)
        monkeypatch.setattr(LoopLane, "_launch_quickly", lambda *_: False)
        monkeypatch.setattr(LoopPerformer, "call", LoopPerformer.begin)
    made = Stage()
    yield made
    made.close()


METHODS = [
    ("ends_at_once", "result"),
    ("waits", "later"),
    ("fails", "LookupError('fails')"),
    ("is_interrupted", "KeyboardInterrupt()"),
    ("plain", "plain"),
    ("fails_plainly", "LookupError('fails plainly')"),
]


@pytest.mark.parametrize(("method", "answer"), METHODS)
@pytest.mark.parametrize("quickly", [True, False])
def test_each_call_is_answered_and_ends(stage: Stage, method: str, answer: str, quickly: bool) -> None:
    stage.answers.quickly = quickly
    assert stage.play(method) == [(1, answer)]
    (job,) = stage.jobs
    assert (job.task, job.launched) == (None, None)
    assert (stage.caller.jobs.running, stage.lane._running, stage.idle) == ({}, 0, ["idle"])
    assert stage.hosted.running is None


def test_calls_of_all_kinds_beside_each_other_are_all_answered(stage: Stage) -> None:
    methods = [method for method, _ in METHODS] * 5
    assert sorted(stage.play(*methods)) == [(i + 1, METHODS[i % len(METHODS)][1]) for i in range(len(methods))]
    assert (stage.caller.jobs.running, stage.lane._running, stage.hosted.running) == ({}, 0, None)


def test_a_call_runs_in_a_task_and_a_context_of_its_own(stage: Stage) -> None:
    assert stage.play("looks_around", "looks_around") == [(1, None), (2, None)]
    looks = [seen for seen in stage.actor.seen if isinstance(seen, tuple)]
    assert looks == [(True, True, "none", gc.isenabled())] * 2
    assert stage.actor.seen.count("callback") == 2
    assert stage.actor.seen.count("result") == 2
    assert (variable.get(), current.get()) == ("none", None)
    assert asyncio.all_tasks(stage.loop) == set()


def test_what_a_plain_method_returns_is_its_result(stage: Stage) -> None:
    ((number, result),) = stage.play("returns_a_coroutine")
    assert number == 1
    assert stage.actor.seen == []
    result.close()


def test_calls_begin_in_their_order(stage: Stage) -> None:
    stage.lane._limit = 9
    stage.play("waits", "plain", "ends_at_once", "waits")
    assert [seen for seen in stage.actor.seen if seen != "goes on"] in (
        ["waits", "plain", "ends_at_once", "waits"],
        ["plain", "waits", "ends_at_once", "waits"],  # by Python, a coroutine begins in the loop's next turn
    )


@only_compiled
@pytest.mark.parametrize("method", ["waits", "plain", "ends_at_once", "fails", "looks_around"])
def test_a_call_that_the_steps_in_python_begin_is_not_overtaken(method: str) -> None:
    stage = Stage(9)
    stage.lane._lookout.distrust()  # as after a call that has blocked the loop
    stage.put(method, "ends_at_once", "plain")
    stage.admit()
    first = [] if method == "fails" else ["waits"] if method == "waits" else [method]
    if method == "looks_around":
        first = [(True, True, "none", gc.isenabled())]
    assert stage.actor.seen == [*first, "ends_at_once", "plain"]
    stage.turn(9)
    assert sorted(number for number, _ in stage.answers.given) == [1, 2, 3]
    assert stage.caller.jobs.running == {}
    stage.close()


@only_compiled
def test_what_is_no_coroutine_of_a_call_is_not_launched_quickly() -> None:
    stage = Stage()
    stage.put("waits")
    (job,) = stage.jobs
    assert not stage.lane._launch_quickly(job, object())
    rest = stage.actor.waits()
    assert not stage.lane._launch_quickly(object(), rest)
    with pytest.raises(TypeError, match="takes a job and a coroutine"):
        stage.lane._launch_quickly(job)  # type: ignore[call-arg]
    rest.close()
    stage.lane._jobs.clear()
    stage.close()


def test_a_call_that_was_cancelled_while_it_waits_is_cancelled(stage: Stage) -> None:
    stage.put("waits_long")
    stage.admit()
    (job,) = stage.jobs
    job.cancel = messages.Cancel(1, 0, False, 0.0, "")  # type: ignore[arg-type]
    stage.lane.cancel(job)
    stage.turn(4)
    assert stage.answers.given in ([(1, "cancelled")], [(1, "refused")])
    assert "goes on" not in stage.actor.seen


@only_compiled
def test_a_call_takes_its_first_step_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    stage.put("ends_at_once", "waits")
    stage.admit()
    assert stage.answers.given == [(1, "result")]
    assert stage.actor.seen == ["ends_at_once", "waits"]
    assert stage.jobs[1].task in asyncio.all_tasks(stage.loop)
    stage.close()


@only_compiled
def test_no_more_calls_begin_in_a_turn_than_may_run_at_once() -> None:
    stage = Stage(limit=3)
    stage.put(*["ends_at_once"] * 7)
    counts = []
    stage.admit()
    for _ in range(3):
        counts.append(len(stage.answers.given))
        stage.turn()
    assert counts == [3, 6, 7], "other callbacks of the loop come between"
    assert stage.lane._running == 0
    stage.close()


def has_factory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.loop.set_task_factory(lambda loop, rest, **options: asyncio.Task(rest, loop=loop, **options))


def debugs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.loop.set_debug(True)


def has_other_tasks(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "Task", asyncio.tasks._PyTask)  # type: ignore[attr-defined]


def has_other_callbacks(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    call_soon = stage.loop.call_soon
    monkeypatch.setattr(stage.loop, "call_soon", lambda *args, **options: call_soon(*args, **options), raising=False)


def lacks_memory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = [MemoryError()]

    def add(task: Any) -> None:
        if lacks:
            raise lacks.pop()
        WeakSet.add(all_tasks, task)

    all_tasks = getattr(asyncio.tasks, "_all_tasks" if sys.version_info < (3, 12) else "_scheduled_tasks")
    monkeypatch.setattr(all_tasks, "add", add, raising=False)


@pytest.mark.parametrize("change", [has_factory, debugs, has_other_tasks, has_other_callbacks, lacks_memory])
def test_a_loop_that_a_user_has_changed_runs_calls_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, change: Callable[[Stage, pytest.MonkeyPatch], None]
) -> None:
    with monkeypatch.context() as changes:
        change(stage, changes)
        if change is lacks_memory:
            stage.loop.set_exception_handler(lambda *_: None)
            stage.play("ends_at_once", "waits")
            stage.play()
        else:
            assert sorted(stage.play("ends_at_once", "waits")) == [(1, "result"), (2, "later")]
    assert len({number for number, _ in stage.answers.given}) == 2, "each one has an answer"
    assert (stage.lane._running, stage.caller.jobs.running) == (0, {})
    assert gc.isenabled()


@only_compiled
def test_what_ends_the_loop_in_a_first_step_lets_the_other_calls_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    kept, errors = LoopPerformer._await, [KeyboardInterrupt("as of a signal handler")]

    async def interrupted(self: LoopPerformer, job: Job, result: Any, ends: Any) -> None:
        if errors:
            result.close()
            ends(job)
            raise errors.pop()
        await kept(self, job, result, ends)

    monkeypatch.setattr(LoopPerformer, "_await", interrupted)
    stage.put("ends_at_once", "ends_at_once")
    with pytest.raises(KeyboardInterrupt, match="as of a signal handler"):
        stage.admit()
    stage.turn(3)
    assert stage.answers.given == [(2, "result")]
    assert stage.lane._running == 0
    stage.close()


@only_compiled
def test_sigint_interrupts_the_method_of_the_job_that_runs() -> None:
    stage = Stage()
    running: list[Job | None] = []
    stage.actor.plain = lambda: running.append(stage.hosted.running)  # type: ignore[method-assign,assignment,return-value]
    stage.play("plain")
    assert running == stage.jobs
    assert stage.hosted.running is None
    stage.close()


@only_compiled
@pytest.mark.parametrize("name", ["_performer", "_hosted", "_invoke"])
def test_a_performer_that_has_lost_an_attribute_goes_by_the_steps_in_python(name: str) -> None:
    stage = Stage()
    begun: list[Job] = []
    performer: Any = stage.lane._performer
    performer.__class__ = type("Own", (LoopPerformer,), {"begin": lambda self, job, ends: begun.append(job)})
    stage.put("plain")
    delattr(performer, name)
    performer.call(stage.jobs[0], print)
    assert begun == stage.jobs
    with pytest.raises(TypeError, match="a job and a function"):
        performer.call(stage.jobs[0])
    stage.loop.close()


@pytest.mark.parametrize("fails", [True, False])
def test_calls_that_a_visit_has_put_in_begin_after_it(stage: Stage, fails: bool) -> None:
    def visit() -> bool:
        stage.put("ends_at_once", "plain")
        for job in (stage.lane._jobs.popleft(), stage.lane._jobs.popleft()):
            stage.lane.put_quickly(job)
        assert stage.actor.seen == []
        if fails:
            raise LookupError("of the visit")
        return True

    def gather(visit: Any) -> None:
        try:
            results.append(stage.lane.gather_quickly(visit))
        except LookupError as error:
            results.append((str(error), error.__context__, error.__traceback__ is not None))

    results: list[Any] = []
    stage.loop.call_soon(gather, visit)
    stage.loop.call_soon(gather, lambda: False)
    stage.turn(6)
    assert results == [("of the visit", None, True) if fails else True, False]
    assert sorted(stage.answers.given) == [(1, "result"), (2, "plain")]


def test_what_a_call_raises_takes_the_place_of_what_the_visit_has(stage: Stage) -> None:
    def visit() -> bool:
        stage.lane._has_gathered = True
        raise LookupError("of the visit")

    def admit() -> None:
        raise KeyboardInterrupt("of a call")

    stage.lane._admit = admit  # type: ignore[method-assign]
    stage.lane._admit_quickly = lambda: False  # type: ignore[method-assign]
    stage.lane._lookout.distrust()
    stage.put("plain")
    with pytest.raises(KeyboardInterrupt, match="of a call") as raised:
        stage.lane.gather_quickly(visit)
    assert str(raised.value.__context__) == "of the visit"
    assert not stage.lane._is_gathering


def test_calls_on_a_loop_leave_no_object_behind(stage: Stage) -> None:
    def calls(count: int) -> None:
        for _ in range(count):
            stage.play(*[method for method, _ in METHODS])
            stage.answers.given.clear()
            stage.actor.seen.clear()
            stage.jobs.clear()
            stage.idle.clear()

    calls(20)
    gc.collect()
    before = sys.getallocatedblocks()
    calls(200)
    gc.collect()
    assert sys.getallocatedblocks() - before < 200
