"""What serves a call in its worker: the compiled steps do what the steps in Python do, or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import random
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

from nbactors import speedups
from nbactors.definitions.hooks import NOW
from nbactors.local.connections.peer_connection import PeerConnection
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.wire import messages
from nbactors.local.wire.framing import peer_codec
from nbactors.local.worker.jobs.caller_jobs import CallerJobs
from nbactors.local.worker.jobs.hosted import Hosted
from nbactors.local.worker.jobs.job import Job, current
from nbactors.local.worker.running.answers import Answers
from nbactors.local.worker.running.executor import Executor
from nbactors.local.worker.running.lookout import UNREAD_S, Lookout
from nbactors.local.worker.running.loop_lane import LoopLane
from nbactors.local.worker.running.performer import Performer
from nbactors.local.worker.running.thread_lane import ThreadLane
from nbactors.options.num_returns import STREAMING

pytestmark = pytest.mark.skipif(speedups.compiled is None, reason=f"no compiled part: {speedups.why_not}")

ATTRIBUTES = """
    answered cancel children connection deps failure interrupts is_task label launched message module name production
    read_at rest since task thread waits
"""

VALUE = messages.Value(b"v")


class Caller:
    """As much of a connection as jobs want."""

    peer_id = b"p" * 16

    def __init__(self, events: Any = None) -> None:
        self.jobs: Any = CallerJobs(events)


def job_of(caller: Any, message: Any = None) -> Job:
    """Return a job that waits."""
    message = message or messages.Call(1, "method", b"")
    job = Job(caller, message, None, [])
    caller.jobs.waiting[message.number] = job
    return job


def state_of(job: Any) -> Any:
    """Return the attributes of a job."""
    assert isinstance(job, Job)
    state = {name: getattr(job, name) for name in ATTRIBUTES.split()}
    state["deps"] = list(job.deps or ())
    state["production"] = type(job.production)
    return state


# ------------------------------------------------------------------------------------------------------------- arrival


class Arrivals:
    """An executor of which the arrival of calls is there, and a caller."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.caller: Any = Caller()
        self.executor = executor = Executor.__new__(Executor)
        executor._jobs = deque()
        executor._early = []
        executor._waiter = None
        executor.lanes = None
        executor.constructed = True
        executor.is_retired = executor._is_watching = False
        executor._recorder = SimpleNamespace(is_armed=False, arm=lambda: self.note("arm"))  # type: ignore[assignment]
        executor._reactor = SimpleNamespace(read_at=2.5)  # type: ignore[assignment]
        executor._values = SimpleNamespace(receive=lambda connection, value: value)  # type: ignore[assignment]
        executor._watch = lambda: self.note("watch")  # type: ignore[method-assign]
        executor._put = lambda job: self.note(("put", state_of(job)))  # type: ignore[method-assign]
        self.caller.send_now = self.note

    def note(self, step: Any) -> None:
        self.steps.append(step)

    def state(self) -> Any:
        """Return all that the arrival of a call may change."""
        executor = self.executor
        queues = [executor._jobs, executor._early, self.caller.jobs.waiting.values()]
        return [[state_of(job) for job in queue] for queue in queues], list(self.caller.jobs.waiting), self.steps


def any_message(rng: random.Random) -> Any:
    number = rng.choice((1, 2, 2**31, 2**63, *range(100, 120)))
    common: dict[str, Any] = {
        "num_returns": rng.choice((1, 1, 1, 0, 2, STREAMING)),
        "name": rng.choice(("", "named")),
        "deps": rng.choice((None, None, [], [(0, VALUE)])),
        "rest": rng.choice((None, None, None, VALUE)),
        "submitted": rng.choice((0.0, 7.5)),
    }
    if rng.random() < 0.3:
        return messages.Run(number, b"key", b"", **common)
    return messages.Call(number, "method", b"data", group=rng.choice(("", "", "group")), **common)


def test_the_arrival_of_any_message_has_the_same_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    by_python: list[Any] = []
    monkeypatch.setattr(Executor, "enqueue", _noting(by_python, Executor.enqueue))
    rng = random.Random(20)
    count = 3000
    for _ in range(count):
        two = Arrivals(), Arrivals()
        two[1].caller = two[0].caller.__class__()
        callers = [arrivals.caller for arrivals in two]
        for arrivals in two:
            arrivals.caller.send_now = arrivals.note
        choices = {
            "lanes": rng.choice((None, None, object())),
            "constructed": rng.random() < 0.8,
            "is_retired": rng.random() < 0.1,
            "_is_watching": rng.random() < 0.7,
        }
        is_armed, waits = rng.random() < 0.7, rng.random() < 0.5
        for arrivals in two:
            for name, value in choices.items():
                setattr(arrivals.executor, name, value)
            arrivals.executor._recorder.is_armed = is_armed
            if waits:
                arrivals.executor._waiter = SimpleNamespace(finish=_noter(arrivals, "finish"))  # type: ignore[assignment]
        for _ in range(3):
            message = any_message(rng)
            two[0].executor.take_in(callers[0], message)
            two[1].executor.enqueue.__wrapped__(two[1].executor, callers[1], message)  # type: ignore[attr-defined]
        for state in (states := [arrivals.state() for arrivals in two]):
            _forget_callers(state)
        assert states[0] == states[1]
    assert count / 2 < len(by_python) < count * 2.5, "both forms have served many messages"


def _noter(arrivals: Arrivals, step: str) -> Any:
    return lambda: arrivals.note(step)


def _noting(calls: list[Any], function: Any) -> Any:
    def note(self: Any, connection: Any, message: Any) -> None:
        calls.append(message)
        function(self, connection, message)

    note.__wrapped__ = function  # type: ignore[attr-defined]
    return note


def _forget_callers(state: Any) -> None:
    jobs = [job for queue in state[0] for job in queue] + [step[1] for step in state[2] if isinstance(step, tuple)]
    for job in jobs:
        del job["connection"]


def test_a_call_for_the_group_that_runs_at_once_goes_by_the_steps_in_python() -> None:
    arrivals = Arrivals()
    taken: list[Any] = []
    arrivals.executor.enqueue = lambda connection, message: taken.append(message)  # type: ignore[method-assign]
    message = messages.Call(1, "method", b"", group=NOW)
    arrivals.executor.take_in(arrivals.caller, message)
    assert taken == [message]


@pytest.mark.parametrize(("method", "way"), [("method", "plain"), ("_own", "plain"), ("__ray_call__", "put")])
def test_a_call_for_a_lane_goes_the_short_way_unless_it_may_have_to_run_alone(method: str, way: str) -> None:
    arrivals = Arrivals()
    taken: list[Any] = []
    arrivals.executor.lanes = object()  # type: ignore[assignment]
    arrivals.executor._put_plain = lambda job: taken.append(("plain", job.message.method))
    arrivals.executor._put = lambda job: taken.append(("put", job.message.method))  # type: ignore[method-assign, union-attr]
    arrivals.executor.take_in(arrivals.caller, messages.Call(1, method, b""))
    assert taken == [(way, method)]


@pytest.mark.parametrize("name", ["_jobs", "_waiter", "lanes", "_put_plain", "_recorder", "_reactor"])
def test_an_executor_that_has_lost_an_attribute_is_left_to_the_steps_in_python(name: str) -> None:
    arrivals = Arrivals()
    delattr(arrivals.executor, name)
    arrivals.executor.enqueue = lambda connection, message: arrivals.note("python")  # type: ignore[method-assign]
    arrivals.executor.take_in(arrivals.caller, messages.Call(1, "method", b""))
    assert arrivals.steps == ["python"]
    assert not arrivals.caller.jobs.waiting


def test_a_call_is_taken_in_with_two_arguments_only() -> None:
    with pytest.raises(TypeError, match="a connection and a message"):
        Arrivals().executor.take_in(1)  # type: ignore[call-arg]


# -------------------------------------------------------------------------------------------------- beginning, ending


class Events:
    """As much of `JobEvents` as the end of a job wants."""

    def __init__(self) -> None:
        self.recorder: Any = SimpleNamespace(count_fast=None)


def test_the_first_job_of_a_queue_begins() -> None:
    caller, lookout = Caller(), Lookout(lambda: None)
    queue = deque(job_of(caller, messages.Call(number, "method", b"")) for number in (1, 2))
    first = queue[0]
    assert lookout._pop_quickly(queue) is first
    assert first.since > 0.0
    assert ([*caller.jobs.waiting], caller.jobs.running, len(queue)) == ([2], {1: first}, 1)


def _nothing(caller: Any, lookout: Lookout, job: Job) -> deque[Any]:
    return deque()


def _cancelled(caller: Any, lookout: Lookout, job: Job) -> deque[Any]:
    caller.jobs.waiting.clear()
    return deque([job])


def _another_of_this_number(caller: Any, lookout: Lookout, job: Job) -> deque[Any]:
    job_of(caller)
    return deque([job])


def _read_before(caller: Any, lookout: Lookout, job: Job) -> deque[Any]:
    lookout._ended = 1.0
    return deque([job])


def _distrusted(caller: Any, lookout: Lookout, job: Job) -> deque[Any]:
    lookout.distrust()
    return deque([job])


def _other_work(caller: Any, lookout: Lookout, job: Job) -> deque[Any]:
    return deque([object()])


def _without_record(caller: Any, lookout: Lookout, job: Job) -> deque[Any]:
    caller.jobs = None
    return deque([job])


def _incomplete(caller: Any, lookout: Lookout, job: Job) -> deque[Any]:
    del job.label
    return deque([job])


@pytest.mark.parametrize(
    "prepare",
    [
        _nothing,
        _cancelled,
        _another_of_this_number,
        _read_before,
        _distrusted,
        _other_work,
        _without_record,
        _incomplete,
    ],
)
def test_any_other_stays_in_the_queue(prepare: Any) -> None:
    caller, lookout = Caller(), Lookout(lambda: None)
    job = job_of(caller)
    queue = prepare(caller, lookout, job)
    before = list(queue)
    assert lookout._pop_quickly(queue) is None
    assert (list(queue), job.since) == (before, 0.0)
    assert not (caller.jobs and caller.jobs.running)


@pytest.mark.parametrize("is_shut", [False, True])
def test_tasks_stay_in_the_queue_of_a_worker_that_runs_no_more_of_them(is_shut: bool) -> None:
    caller, lookout = Caller(), Lookout(lambda: None)
    lookout.is_shut_to_tasks = is_shut
    task = job_of(caller, messages.Run(1, b"key", b""))
    assert lookout._pop_quickly(deque([task])) is (None if is_shut else task)


@pytest.mark.parametrize("submitted", [0.0, 7.5])
@pytest.mark.parametrize("is_busy", [False, True])
def test_the_end_of_a_job_is_noted_and_counted(submitted: float, is_busy: bool) -> None:
    events, counted = Events(), []  # type: ignore[var-annotated]
    events.recorder.count_fast = counted.append if is_busy else None
    caller, lookout = Caller(events), Lookout(lambda: None)
    job = job_of(caller, messages.Call(1, "method", b"", submitted=submitted))
    assert lookout._pop_quickly(deque([job])) is job
    job.name = "Counter.method"
    took = lookout._finish_quickly(job)
    if submitted and not is_busy:
        assert (took, caller.jobs.running) == (None, {1: job})
    else:
        assert took is not None
        assert took >= 0.0
        assert (caller.jobs.running, counted) == ({}, ["Counter.method"] if submitted else [])


def test_the_end_of_a_failed_job_goes_by_the_steps_in_python() -> None:
    caller, lookout = Caller(), Lookout(lambda: None)
    job = job_of(caller)
    assert lookout._pop_quickly(deque([job])) is job
    job.failure = ("kind", "text")
    assert lookout._finish_quickly(job) is None
    assert caller.jobs.running == {1: job}


@pytest.mark.parametrize("is_long", [False, True])
def test_after_a_long_job_the_next_one_waits_for_a_look(is_long: bool) -> None:
    caller, lookout = Caller(), Lookout(lambda: None)
    job = job_of(caller)
    lookout._pop_quickly(deque([job]))
    job.since -= 2 * UNREAD_S if is_long else -1.0
    took = lookout._finish_quickly(job)
    assert took is not None
    assert (took > UNREAD_S) == is_long == (lookout._ended > 0.0)
    job.read_at = math.nextafter(lookout._ended, math.inf)
    caller.jobs.waiting[1] = job
    assert lookout._pop_quickly(deque([job])) is job


def test_a_counter_that_fails_fails_the_end_and_the_job_runs_no_more() -> None:
    def fail(name: str) -> None:
        raise LookupError(name)

    events = Events()
    events.recorder.count_fast = fail
    caller, lookout = Caller(events), Lookout(lambda: None)
    job = job_of(caller, messages.Call(1, "method", b"", submitted=7.5))
    lookout._pop_quickly(deque([job]))
    job.name = "by its name"
    with pytest.raises(LookupError, match="by its name"):
        lookout._finish_quickly(job)
    assert not caller.jobs.running


# ----------------------------------------------------------------------------------------------------- finding methods


class Found:
    """A performer of which the search for methods is there."""

    class Hosts:
        def method(self) -> None: ...

        def __getattr__(self, name: str) -> Any:
            raise LookupError(name)

    def __init__(self, shown: str = "Counter.method") -> None:
        self.performer = performer = Performer.__new__(Performer)
        performer.hosted = hosted = Hosted()
        hosted.class_name, hosted.module, hosted.instance = "Counter", "module", self.Hosts()
        hosted.name_of("method")
        hosted.name_of("other")
        performer._output = SimpleNamespace(descriptors_origin=0)  # type: ignore[assignment]
        performer.title = SimpleNamespace(label=shown)  # type: ignore[assignment]


def test_a_method_without_arguments_is_found() -> None:
    found, job = Found(), job_of(Caller())
    assert found.performer._prepare_quickly(job) == (found.performer.hosted.instance.method, (), {})
    assert (job.name, job.label, job.module) == ("Counter.method", "Counter.method", "module")


def test_a_label_of_the_calls_own_stays() -> None:
    found, job = Found("own"), job_of(Caller(), messages.Call(1, "method", b"", name="own"))
    assert found.performer._name_quickly(job)
    assert (job.name, job.label) == ("Counter.method", "own")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (messages.Call(1, "__ray_ready__", b""), "Counter.method"),
        (messages.Call(1, "never_called", b""), "Counter.method"),
        (messages.Call(1, "", b""), "Counter.method"),
        (messages.Call(1, "method", b"", origin=5), "Counter.method"),
        (messages.Call(1, "method", b""), "Counter.other"),
        (messages.Call(1, "method", b"", name="own"), "Counter.method"),
        (messages.Run(1, b"key", b""), "Counter.method"),
    ],
)
def test_any_other_call_is_left_to_the_steps_in_python(message: Any, shown: str) -> None:
    performer, job = Found(shown).performer, job_of(Caller(), message)
    assert not performer._name_quickly(job)
    assert performer._prepare_quickly(job) is None
    assert (job.name, job.label, job.module) == ("", message.name, "")


@pytest.mark.parametrize(("data", "rest", "deps"), [(b"d", None, []), (b"", VALUE, []), (b"", None, [(0, VALUE)])])
def test_arguments_are_loaded_by_the_steps_in_python(data: bytes, rest: Any, deps: Any) -> None:
    performer = Found().performer
    job = Job(Caller(), messages.Call(1, "method", data), rest, deps)  # type: ignore[arg-type]
    assert performer._prepare_quickly(job) is None
    assert performer._name_quickly(job)


def test_what_the_users_code_raises_while_a_method_is_looked_up_is_raised() -> None:
    job = job_of(Caller(), messages.Call(1, "other", b""))
    with pytest.raises(LookupError, match="other"):
        Found("Counter.other").performer._prepare_quickly(job)
    assert job.name == "Counter.other"


# ----------------------------------------------------------------------------------------------------------- answering


class Answered:
    """The answers of a worker, and the socket of the caller."""

    def __init__(self) -> None:
        self.reactor = Reactor("test")
        self.far, near = socket.socketpair()
        self.connection = PeerConnection(self.reactor, near, lambda *_: None, lambda *_: None, lambda *_: None)
        self.connection.jobs = CallerJobs()
        self.output = SimpleNamespace(descriptors_origin=0)
        self.is_busy = False
        self.answers = Answers(None, self.reactor, lambda: self.is_busy, self.output)  # type: ignore[arg-type]

    def job(self, number: int = 1, num_returns: int = 1) -> Job:
        return job_of(self.connection, messages.Call(number, "method", b"", num_returns))

    def read(self) -> list[Any]:
        """Return the messages that the caller has got."""
        self.far.setblocking(False)
        try:
            rest = self.far.recv(1 << 20)
        except BlockingIOError:
            return []
        found: list[Any] = []
        while rest:
            length = int.from_bytes(rest[:4], "big") + 4
            found += peer_codec().decode(rest[4:length])
            rest = rest[length:]
        return found

    def close(self) -> None:
        self.far.close()
        self.connection.close()
        self.reactor.close()


@pytest.fixture
def answered() -> Iterator[Answered]:
    made = Answered()
    yield made
    made.close()


ATOMS = [None, True, 0, -1, 2**70, 2.5, math.inf, "", "text", "\udc80", "x" * 4095, b"", b"bytes", bytes(4095)]


def test_small_results_are_answered_as_by_the_steps_in_python(answered: Answered) -> None:
    for value in ATOMS:
        assert answered.answers._give_quickly(answered.job(), value)
        (quick,) = answered.read()
        answered.answers.give(answered.job(), value)
        assert answered.read() == [quick]


@pytest.mark.parametrize("value", [(), [], {}, "x" * 4096, bytes(4096), type("Number", (int,), {})(5), object])
def test_other_results_are_left_to_the_steps_in_python(answered: Answered, value: Any) -> None:
    assert not answered.answers._give_quickly(answered.job(), value)
    assert not answered.connection.unsent
    assert answered.read() == []


def _cancel(answered: Answered, job: Job) -> None:
    job.cancel = object()  # type: ignore[assignment]


def _answer(answered: Answered, job: Job) -> None:
    job.answered = True


def _print(answered: Answered, job: Job) -> None:
    answered.output.descriptors_origin = 5


def _slow_down(answered: Answered, job: Job) -> None:
    answered.connection._is_quick = False


def _close(answered: Answered, job: Job) -> None:
    answered.connection.close()


def _replace(answered: Answered, job: Job) -> None:
    job.connection = Caller()  # type: ignore[assignment]


def _lose(answered: Answered, job: Job) -> None:
    del answered.answers._output


@pytest.mark.parametrize("change", [_cancel, _answer, _print, _slow_down, _close, _replace, _lose])
def test_an_unusual_answer_is_left_to_the_steps_in_python(answered: Answered, change: Any) -> None:
    job = answered.job()
    change(answered, job)
    assert not answered.answers._give_quickly(job, 1)
    assert answered.read() == []


@pytest.mark.parametrize("num_returns", [0, 2, STREAMING])
def test_several_results_are_left_to_the_steps_in_python(answered: Answered, num_returns: int) -> None:
    assert not answered.answers._give_quickly(answered.job(num_returns=num_returns), 1)


@pytest.mark.parametrize("has_queue", [False, True])
def test_while_more_calls_wait_answers_are_gathered(answered: Answered, has_queue: bool) -> None:
    answers, queue = answered.answers, deque([1])
    answered.is_busy = not has_queue
    answers.backlog = queue if has_queue else None
    answers._flushed = math.inf
    assert not answers._give_quickly(answered.job(), 0), "the first one has the outbox flushed soon"
    answered.connection.send(messages.Reply(0, b""))
    for number in range(1, 255):
        assert answers._give_quickly(answered.job(number), number)
    assert answered.read() == []
    assert not answers._give_quickly(answered.job(), 0), "so many are sent at once"
    queue.clear()
    answered.is_busy = False
    assert answers._give_quickly(answered.job(255), 255)
    assert [message.number for message in answered.read()] == list(range(256))
    assert answers._flushed < math.inf


def test_answers_are_gathered_for_a_while_only(answered: Answered) -> None:
    answered.answers.backlog = deque([1])
    assert answered.answers._give_quickly(answered.job(), 1)
    assert len(answered.read()) == 1
    assert answered.answers._flushed > 0.0


def test_what_tells_whether_more_calls_wait_may_fail(answered: Answered) -> None:
    def fail() -> bool:
        raise LookupError("as an interrupt")

    answered.answers._is_busy = fail
    with pytest.raises(LookupError, match="as an interrupt"):
        answered.answers._give_quickly(answered.job(), 1)
    assert answered.read() == []


def test_a_full_socket_takes_the_rest_later(answered: Answered) -> None:
    big = "x" * 4000
    count = 0
    while not answered.connection.unsent:
        assert answered.answers._give_quickly(answered.job(count), big)
        count += 1
    assert not answered.answers._give_quickly(answered.job(count), big), "it is queued behind, in Python"
    answered.answers.give(answered.job(count), big)
    found: list[int] = []
    rest = b""
    while len(found) <= count:
        rest += answered.far.recv(1 << 20)
        answered.reactor.visit()
        answered.connection.flush()
        while len(rest) >= 4 and len(rest) >= (length := int.from_bytes(rest[:4], "big") + 4):
            found += [message.number for message in peer_codec().decode(rest[4:length])]
            rest = rest[length:]
    assert found == list(range(count + 1))


def test_a_lack_of_memory_leaves_an_answer_to_the_steps_in_python(answered: Answered) -> None:
    testcapi = pytest.importorskip("_testcapi")
    for first in range(25):
        job = answered.job(first)
        testcapi.set_nomemory(first, first + 2)
        try:
            is_done = answered.answers._give_quickly(job, "a text")
        except MemoryError:
            is_done = False
        finally:
            testcapi.remove_mem_hooks()
        answered.connection.flush()
        assert len(answered.read()) == is_done or not is_done


# --------------------------------------------------------------------------------------------------------------- lanes


class Performing:
    """As much of a `LoopPerformer` as a lane wants. Each call awaits a turn of the loop, unless it is a plain one."""

    def __init__(self) -> None:
        self.begun: list[tuple[Any, Any]] = []
        self.contexts: list[Any] = []
        self.is_plain = False
        self.error: Exception | None = None

    def catch_up(self) -> None: ...

    def call(self, job: Job, ends: Any) -> Any:
        self.begun.append((job, current.get()))
        counted.set(counted.get() + 1)
        self.contexts.append(counted.get())
        if self.error is not None:
            raise self.error
        return None if self.is_plain else self._await(job, ends)

    async def _await(self, job: Job, ends: Any) -> None:
        await asyncio.sleep(0)
        ends(job)


counted: ContextVar[int] = ContextVar("counted", default=0)


class Loop:
    """A lane with its loop, which a test turns by hand."""

    def __init__(self, limit: int = 2) -> None:
        self.loop = asyncio.SelectorEventLoop()
        self.performing = Performing()
        self.idle: list[str] = []
        self.lane = LoopLane(self.loop, limit, self.performing, lambda: self.idle.append("idle"))  # type: ignore[arg-type]
        self.lane._ident = threading.get_ident()
        self.lane._started = True
        self.caller = Caller()

    def job(self, number: int) -> Job:
        return job_of(self.caller, messages.Call(number, "method", b""))

    def turn(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))

    @property
    def begun(self) -> list[int]:
        """The numbers of the calls that have begun."""
        return [job.message.number for job, _ in self.performing.begun]


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    for _ in range(3):  # the tasks end
        made.turn()
    made.loop.close()


def test_calls_of_a_lane_begin_up_to_its_limit_each_in_a_context_of_its_own(loop: Loop) -> None:
    loop.lane._jobs.extend(loop.job(number) for number in (1, 2, 3))
    assert loop.lane._admit_quickly()
    assert loop.begun == [1, 2]
    assert loop.performing.begun[0][1] is loop.performing.begun[0][0], "it is the current job there"
    assert loop.performing.contexts == [1, 1]
    assert (current.get(), counted.get()) == (None, 0)
    assert [job.launched is not None for job, _ in loop.performing.begun] == [True, True]
    assert loop.lane._running == 2
    for _ in range(4):
        loop.turn()
    assert (loop.begun, loop.lane._running, loop.idle) == ([1, 2, 3], 0, ["idle"])
    assert [job.launched for job, _ in loop.performing.begun] == [None] * 3
    assert not loop.caller.jobs.running


def test_a_paused_lane_begins_none(loop: Loop) -> None:
    loop.lane._jobs.append(loop.job(1))
    loop.lane.pause()
    assert loop.lane._admit_quickly()
    loop.lane._admit()
    assert loop.begun == []


def test_plain_methods_of_a_lane_end_at_once(loop: Loop) -> None:
    loop.performing.is_plain = True
    loop.lane._jobs.extend(loop.job(number) for number in (1, 2, 3))
    loop.lane._admit()
    assert (loop.begun, loop.lane._running, loop.idle) == ([1, 2, 3], 0, ["idle"])


def test_a_call_that_needs_a_look_and_one_that_was_cancelled_go_by_the_steps_in_python(loop: Loop) -> None:
    looks: list[str] = []
    loop.lane._lookout._catch_up = lambda: looks.append("look")
    loop.lane._lookout.distrust()
    loop.lane._jobs.extend(loop.job(number) for number in (1, 2))
    del loop.caller.jobs.waiting[1]
    assert not loop.lane._admit_quickly()
    loop.lane._admit()
    assert (loop.begun, looks) == ([2], ["look"])


def test_what_a_call_raises_ends_the_admission_and_leaves_no_context_behind(loop: Loop) -> None:
    loop.performing.error = LookupError("as of a signal handler")
    loop.lane._jobs.extend(loop.job(number) for number in (1, 2))
    with pytest.raises(LookupError, match="as of a signal handler"):
        loop.lane._admit()
    assert (loop.begun, len(loop.lane._jobs)) == ([1], 1)
    assert (current.get(), counted.get()) == (None, 0)


@pytest.mark.parametrize("name", ["_jobs", "_lookout", "_performer", "loop", "_current"])
def test_a_lane_that_has_lost_an_attribute_begins_none(loop: Loop, name: str) -> None:
    loop.lane._jobs.append(loop.job(1))
    kept = getattr(loop.lane, name)
    delattr(loop.lane, name)
    assert loop.lane._admit_quickly()
    with contextlib.suppress(AttributeError):
        loop.lane.put_quickly(loop.job(2))
    setattr(loop.lane, name, kept)
    assert loop.begun == []


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize("due", ["gathering", "due", "nothing"])
@pytest.mark.parametrize("started", [True, False])
def test_a_call_is_only_queued_where_the_loop_looks_soon(loop: Loop, is_own: bool, due: str, started: bool) -> None:
    put: list[Job] = []
    loop.lane.put = put.append  # type: ignore[method-assign]
    loop.lane._ident += not is_own
    loop.lane._started, loop.lane._is_gathering, loop.lane._due = started, due == "gathering", due == "due"
    job = loop.job(1)
    loop.lane.put_quickly(job)
    is_quick = is_own and started and due != "nothing"
    assert (list(loop.lane._jobs), put) == (([job], []) if is_quick else ([], [job]))
    assert loop.lane._has_gathered == (is_quick and due == "gathering")


@pytest.mark.parametrize("is_short", [True, False])
@pytest.mark.parametrize("is_watching", [True, False])
@pytest.mark.parametrize("idle", [0, 1])
def test_a_call_is_only_queued_where_a_thread_is_awake_and_watched(
    is_short: bool, is_watching: bool, idle: int
) -> None:
    lane = ThreadLane("", 2, lambda job: None, lambda *_: None, lambda: None)
    put: list[Any] = []
    lane.put = put.append  # type: ignore[method-assign]
    lane._started, lane._is_short, lane._watching, lane._count = True, is_short, is_watching, 1
    lane._idle = [threading.Lock()] * idle
    job = job_of(Caller())
    lane.put_quickly(job)
    is_quick = is_short and is_watching and not idle
    assert (list(lane._jobs), put) == (([job], []) if is_quick else ([], [job]))


@pytest.mark.parametrize(("running", "waiting", "is_busy"), [(0, 0, False), (1, 0, False), (2, 0, True), (1, 1, True)])
def test_an_only_lane_tells_whether_more_calls_wait(
    answered: Answered, loop: Loop, running: int, waiting: int, is_busy: bool
) -> None:
    answered.answers._is_busy = pytest.fail
    answered.answers.backlog = loop.lane
    answered.answers._flushed = math.inf
    loop.lane._running = running
    loop.lane._jobs.extend([loop.job(9)] * waiting)
    assert answered.answers._give_quickly(answered.job(), 1) != is_busy, "the first one to be gathered goes by Python"
    assert loop.lane.is_busy == is_busy


def test_calls_of_a_lane_leave_no_object_behind(loop: Loop) -> None:
    def calls(count: int) -> None:
        for _ in range(count):
            loop.lane.put(loop.job(1))
            loop.turn()
            loop.turn()
            loop.performing.begun.clear()
            loop.performing.contexts.clear()
            loop.idle.clear()

    calls(200)
    gc.collect()
    before = sys.getallocatedblocks()
    calls(1000)
    gc.collect()
    assert sys.getallocatedblocks() - before < 200


# --------------------------------------------------------------------------------------------------------------- loads


def test_calls_leave_no_object_behind(answered: Answered) -> None:
    arrivals, found, lookout = Arrivals(), Found(), Lookout(lambda: None)
    arrivals.caller = answered.connection
    message = messages.Call(1, "method", b"")
    answered.connection.jobs = CallerJobs()
    lookout._unread_s = math.inf

    def calls(count: int) -> None:
        for _ in range(count):
            arrivals.executor.take_in(answered.connection, message)
            job = lookout._pop_quickly(arrivals.executor._jobs)
            function, args, kwargs = found.performer._prepare_quickly(job)  # type: ignore[misc]
            assert answered.answers._give_quickly(job, function(*args, **kwargs))
            assert lookout._finish_quickly(job) is not None
            answered.far.recv(1 << 16)
            answered.connection._kept.clear()

    calls(200)
    gc.collect()
    before = sys.getallocatedblocks()
    calls(2000)
    gc.collect()
    assert sys.getallocatedblocks() - before < 200


def test_a_job_whose_attributes_form_a_circle_is_collected() -> None:
    class Last:
        def __del__(self) -> None:
            gone.append(True)

    gone: list[bool] = []
    job = job_of(Caller())
    job.children = {job: None, Last(): None}  # type: ignore[dict-item]
    del job
    gc.collect()
    assert gone == [True]


def test_types_that_do_not_fit_are_refused() -> None:
    compiled: Any = speedups.compiled

    class Long(Job):
        __slots__ = ("more",)

    for types in ((Long, messages.Call, messages.Run, messages.Reply), (Job, messages.Reply, messages.Run, object)):
        with pytest.raises((TypeError, AttributeError)):
            compiled.know_jobs(*types)
    assert Lookout(lambda: None)._pop_quickly(deque([job := job_of(Caller())])) is job
