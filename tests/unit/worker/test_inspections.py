"""What a worker tells of its calls while they run: groups, waiting calls, arguments as short texts."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from time import monotonic
from typing import Any

import pytest
from members import ONE_BY_ONE
from serving import ASYNC, THREADED, Scene, stage

from nbactors.in_worker import arguments_now, breakpoints, debugger, pausing, questions
from nbactors.local.membership import Membership
from nbactors.local.submitting.construction import Concurrency
from nbactors.local.wire import messages
from nbactors.local.worker.inspecting.inspector import MAX_CALLS, Inspector
from nbactors.local.worker.jobs.hosted import Hosted
from nbactors.local.worker.running import taking
from nbactors.local.worker.running.interrupts import called_on, invoke
from nbactors.options import CallOptions
from nbactors.testing import eventually


class Awkward:
    """A value whose own code must not run."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("__class__", "__reduce_ex__"):  # read by the pickler
            return object.__getattribute__(self, name)
        stage.log.append(name)
        raise KeyError(name)

    def __reduce_ex__(self, protocol: object) -> Any:
        return Awkward, ()

    def __repr__(self) -> str:
        stage.log.append("repr")
        raise KeyError("repr")

    def __len__(self) -> int:
        stage.log.append("len")
        raise KeyError("len")


class Freed:
    """Tells when its copy in the worker is freed."""

    def __setstate__(self, state: object) -> None:
        self.is_copy = True

    def __getstate__(self) -> object:
        return 1

    def __del__(self) -> None:
        if hasattr(self, "is_copy"):
            stage.reach("freed")


class Meta(type):
    def __eq__(cls, other: object) -> bool:
        stage.log.append("eq")
        raise KeyError("eq")

    def __hash__(cls) -> int:
        stage.log.append("hash")
        raise KeyError("hash")

    def __getattribute__(cls, name: str) -> Any:
        stage.log.append(name)
        raise KeyError(name)


def passes_on(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    return wrapper


class Busy:
    def __init__(self, blocks: bool = False) -> None:
        if blocks:
            stage.reach("begun")
            stage.await_("go on")

    def wait(self, first: Any = None, *more: Any, last: Any = None) -> str:
        first, more, last = None, (), None  # noqa: F841 - the text is of what was passed
        stage.reach("begun")
        stage.await_("go on")
        return "done"

    @passes_on
    def wrapped(self, first: Any, last: Any) -> str:
        return self.wait(first, last)

    async def sleep(self, first: Any = None, *more: Any, last: Any = None, **others: Any) -> str:
        stage.reach("begun")
        await asyncio.to_thread(stage.await_, "go on")
        return "done"

    async def block(self, first: Any) -> str:
        stage.reach("begun")
        stage.await_("go on")
        return "done"

    def steps(self, first: Any) -> Iterator[int]:
        stage.reach("begun")
        stage.await_("go on")
        yield 1

    async def async_steps(self, first: Any) -> AsyncIterator[int]:
        stage.reach("begun")
        await asyncio.to_thread(stage.await_, "go on")
        yield 1


def inspect(scene: Scene) -> messages.Inspection:
    """Ask the worker of a scene, as another process does."""
    answered: list[messages.Inspection] = []
    session = scene.session
    session.peers.handlers[messages.Inspection] = lambda connection, message: answered.append(message)
    connection = eventually(lambda: next(iter(session.peers.outgoing()), None))
    connection.send_now(messages.AskInspection())
    eventually(lambda: answered)
    return answered[0]


def while_running(method: str, *args: Any, **options: Any) -> Callable[[Scene], messages.Inspection]:
    """Return a body that asks while one call of a method runs."""

    def body(scene: Scene) -> messages.Inspection:
        ref = scene.call(method, *args, **options)
        stage.await_("begun")
        try:
            return inspect(scene)
        finally:
            stage.reach("go on")
            _ = scene.read(ref) if options.get("num_returns") == -1 else scene.get(ref)

    return body


class TestAnswer:
    def test_an_idle_worker_tells_of_its_process(self, scene: Scene) -> None:
        def body(scene: Scene) -> messages.Inspection:
            scene.ask("__ray_ready__")
            return eventually(lambda: found if not (found := inspect(scene)).running else None)

        told = scene.play(body, Busy)
        assert told.pid == os.getpid()
        assert told.process_id == scene.worker.process_id
        assert told.since < told.at < monotonic()
        assert 0 < told.cpu_s < time.process_time()
        assert told.memory > 1 << 20
        assert told.groups == [messages.GroupNow("", 1, [], 0)]
        assert told.queued == []

    def test_a_running_call_tells_its_name_its_begin_and_its_arguments(self, each: Scene) -> None:
        before = monotonic()
        (call,) = each.play(while_running("wait", 1, "a", None, last=[2.5]), Busy).running
        assert (call.name, call.group, call.paused) == ("Busy.wait", "", False)
        assert before < call.since < monotonic()
        assert call.arguments == [("first", "1"), ("", "'a'"), ("", "None"), ("last", "[2.5]")]

    def test_calls_that_wait_are_told_in_their_order_without_arguments(self, each: Scene) -> None:
        def body(scene: Scene) -> messages.Inspection:
            size = 1 if scene.worker.concurrency.is_async else scene.worker.concurrency.max_concurrency
            refs = [scene.call("wait") for _ in range(size)]
            refs += [scene.call("wait", 1, options=CallOptions(name=f"number {index}")) for index in range(3)]
            try:
                found = eventually(
                    lambda: found if len((found := inspect(scene)).running) == size and len(found.queued) == 3 else None
                )
            finally:
                stage.reach("go on")
            assert [scene.get(ref) for ref in refs] == ["done"] * len(refs)
            assert [call.task_id for call in found.queued] == [ref.task_id().binary() for ref in refs[size:]]
            return found

        told = each.play(body, Busy)
        assert [call.name for call in told.queued] == ["number 0", "number 1", "number 2"]
        assert all(not call.arguments and told.since < call.since <= told.at for call in told.queued)
        (group,) = told.groups
        assert group.size == each.worker.concurrency.max_concurrency
        assert group.running == [call.task_id for call in told.running]
        assert group.queued == 3

    @pytest.mark.parametrize(
        "groups",
        [Concurrency(is_async, 1, {"io": 2, "slow": 1}) for is_async in (False, True)],
        indirect=True,
        ids=["threads", "loops"],
    )
    def test_each_group_tells_its_own_calls(self, groups: Scene) -> None:
        def body(scene: Scene) -> messages.Inspection:
            refs = [scene.call("sleep" if scene.worker.concurrency.is_async else "wait", group="io") for _ in range(3)]
            try:
                return eventually(
                    lambda: found if (found := inspect(scene)).queued and len(found.running) == 2 else None
                )
            finally:
                stage.reach("go on")
                assert [scene.get(ref) for ref in refs] == ["done"] * 3

        told = groups.play(body, Busy)
        assert [(group.name, group.size, len(group.running), group.queued) for group in told.groups] == [
            ("", 1, 0, 0),
            ("io", 2, 2, 1),
            ("slow", 1, 0, 0),
        ]
        assert [call.group for call in (*told.running, *told.queued)] == ["io"] * 3

    def test_a_running_constructor_is_a_call(self, each: Scene) -> None:
        def body(scene: Scene) -> messages.Inspection:
            stage.await_("begun")
            try:
                return inspect(scene)
            finally:
                stage.reach("go on")
                scene.ask("__ray_ready__")

        (call,) = each.play(body, Busy, True).running
        assert (call.name, call.arguments) == ("Busy.__init__", [("blocks", "True")])

    def test_at_most_two_hundred_waiting_calls_are_told(self, scene: Scene) -> None:
        def body(scene: Scene) -> messages.Inspection:
            refs = [scene.call("wait") for _ in range(MAX_CALLS + 10)]
            try:
                return eventually(
                    lambda: found if (found := inspect(scene)).groups[0].queued == len(refs) - 1 else None
                )
            finally:
                stage.reach("go on")
                assert {scene.get(ref) for ref in refs} == {"done"}

        assert len(scene.play(body, Busy).queued) == MAX_CALLS


class TestArgumentsOfCalls:
    def test_a_decorated_method_names_the_arguments_of_the_method(self, scene: Scene) -> None:
        (call,) = scene.play(while_running("wrapped", 1, 2), Busy).running
        assert call.arguments == [("first", "1"), ("last", "2")]

    @pytest.mark.parametrize("groups", [ASYNC], indirect=True)
    def test_a_coroutine_that_waits_tells_its_arguments(self, groups: Scene) -> None:
        (call,) = groups.play(while_running("sleep", 1, 2, last=3, more_of=4), Busy).running
        assert call.arguments == [("first", "1"), ("last", "3"), ("", "2"), ("more_of", "4")]

    @pytest.mark.parametrize("groups", [ASYNC], indirect=True)
    def test_a_coroutine_that_blocks_its_loop_tells_its_arguments(self, groups: Scene) -> None:
        (call,) = groups.play(while_running("block", 1), Busy).running
        assert call.arguments == [("first", "1")]

    @pytest.mark.parametrize("groups", [ONE_BY_ONE, THREADED], indirect=True, ids=["plain", "threaded"])
    def test_a_generator_that_runs_tells_its_arguments(self, groups: Scene) -> None:
        (call,) = groups.play(while_running("steps", 1, num_returns=-1), Busy).running
        assert call.arguments == [("first", "1")]

    @pytest.mark.parametrize("groups", [ASYNC], indirect=True)
    def test_an_asynchronous_generator_tells_its_arguments(self, groups: Scene) -> None:
        (call,) = groups.play(while_running("async_steps", 1, num_returns=-1), Busy).running
        assert call.arguments == [("first", "1")]

    def test_a_call_at_once_is_told_beside_the_groups(self, scene: Scene) -> None:
        def body(scene: Scene) -> messages.Inspection:
            ref = scene.call("__ray_now__", Busy.wait, 1, group="__ray_now__")
            stage.await_("begun")
            try:
                return inspect(scene)
            finally:
                stage.reach("go on")
                scene.get(ref)

        told = scene.play(body, Busy)
        assert [call.group for call in told.running] == ["__ray_now__"]
        assert told.groups == [messages.GroupNow("", 1, [], 0)]

    def test_no_code_of_an_argument_runs(self, each: Scene) -> None:
        (call,) = each.play(while_running("wait", Awkward(), [Awkward()]), Busy).running
        assert call.arguments == [("first", "Awkward"), ("", "[Awkward]")]
        assert stage.log == []


class TestPaused:
    @pytest.mark.parametrize("module", [breakpoints, questions, debugger], ids=["accept", "input", "prompt"])
    def test_a_call_within_the_code_that_asks_the_user_is_paused(self, module: Any) -> None:
        """Each of the files that the call's thread may stand in."""
        found: list[bool] = []

        def look() -> None:
            found.append(pausing.waits_for_user(arguments_now.within(sys._getframe(), None) or []))

        look()
        exec(compile("look()", module.__file__, "exec"), {"look": look})
        assert found == [False, True]

    def test_the_variables_of_a_paused_generator_are_left_to_its_debugger(self) -> None:
        """A reader of the frame's variables would undo what the debugger has assigned."""
        steps = Busy().steps(1)
        assert arguments_now.of_call((taking.take, (steps, 2), {}), None)[-1] == ("first", "1")
        assert arguments_now.of_call((taking.take, (steps, 2), {}), None, paused=True) == []


class TestNothingKept:
    @pytest.mark.parametrize("groups", [ONE_BY_ONE, THREADED], indirect=True, ids=["plain", "threaded"])
    def test_the_arguments_of_an_ended_call_are_freed_after_an_answer(self, groups: Scene) -> None:
        """Without a run of the garbage collector, since the frames of an answer form no cycle."""

        def body(scene: Scene) -> None:
            while_running("wait", Freed())(scene)
            eventually(lambda: stage.has_reached("freed"))

        gc.disable()
        try:
            groups.play(body, Busy)
        finally:
            gc.enable()


class Played:
    """A job that a test moves, on the calling thread."""

    message = messages.Call(1, "played", b"")
    label, name, since, read_at, task_id = "played", "", 1.0, 1.0, b"t"
    task: Any = None
    launched: Any = None

    def __init__(self, thread: int = 0) -> None:
        self.thread = thread


class TestRaces:
    """The thread runs another call at the moment at which the frames are read."""

    def look(self, job: Any, hosted: Hosted, *steps: Callable[[], tuple[list[Any], list[Any]]]) -> messages.Inspection:
        """Return the answer where the lists of running and waiting jobs are those of the steps, in turn."""
        turns = iter(steps)

        def jobs() -> tuple[Iterator[Any], Iterator[Any]]:
            running, waiting = next(turns)()
            return iter(running), iter(waiting)

        inspector = Inspector(Membership(), hosted, jobs, lambda: {"": 1}, lambda: 0, called_on)
        return invoke(lambda stranger: inspector.look(), ("another call's",), {})  # type: ignore[no-any-return]

    def test_a_call_that_begins_after_that_has_no_arguments_yet(self) -> None:
        job = Played(threading.get_ident())
        told = self.look(job, Hosted(), lambda: ([], [job]), lambda: ([job], []))
        assert told.running == [messages.CallNow(b"t", "played", "", 1.0, [], False)]
        assert told.queued == []

    def test_a_call_whose_task_ends_after_that_has_no_arguments_any_more(self) -> None:
        job = Played(threading.get_ident())
        job.task = object()

        def end() -> tuple[list[Any], list[Any]]:
            job.task = None
            return [job], []

        (call,) = self.look(job, Hosted(), lambda: ([job], []), end).running
        assert call.arguments == []

    def test_a_call_that_has_just_begun_on_its_thread_is_not_taken_for_that_of_the_main_thread(self) -> None:
        job, hosted = Played(), Hosted()
        (call,) = self.look(job, hosted, lambda: ([job], []), lambda: ([job], [])).running
        assert call.arguments == []
        hosted.running = job  # type: ignore[assignment]
        (call,) = self.look(job, hosted, lambda: ([job], []), lambda: ([job], [])).running
        assert call.arguments == [("stranger", '"another call\'s"')]


def texts(*args: Any, **kwargs: Any) -> list[tuple[str, str]]:
    return arguments_now.of_call((len, args, kwargs), None)


class TestTexts:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "None"),
            (1.5, "1.5"),
            ("x" * 1000, f"'{'x' * 60}'… (1000 in all)"),
            (b"x" * 61, f"b'{'x' * 60}'… (61 in all)"),
            ({"a": (1, 2)}, "{'a': (1, 2)}"),
            (list(range(1000)), "[0, 1, 2, 3, 4, 5, 6, 7, … (1000 in all)]"),
            ([[[1]]], "[[…]]"),
            (Awkward, "type"),
            (Meta, "type"),
            (len, "builtin_function_or_method"),
            (slice(Awkward()), "slice"),
        ],
    )
    def test_a_value_is_a_short_text(self, value: Any, text: str) -> None:
        assert texts(value) == [("", text)]

    def test_a_long_text_is_cut(self) -> None:
        ((_, text),) = texts(["x" * 50, "y" * 50])
        assert text == f"['{'x' * 50}', '{'y' * 23}…"

    def test_an_array_is_its_type_its_shape_and_the_type_of_its_items(self) -> None:
        numpy = pytest.importorskip("numpy")
        shown = texts(numpy.zeros((1000, 3)), [numpy.ones(1)], numpy.float64(2.5), numpy.int8(1))
        assert shown == [
            ("", "ndarray (1000, 3) float64"),
            ("", "[ndarray (1,) float64]"),
            ("", "2.5"),
            ("", "1"),
        ]

    def test_a_table_is_its_type_and_its_shape(self) -> None:
        polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
        columns = {"dtype": [1, 2], "shape": [1, 2]}
        shown = texts(polars.DataFrame(columns), polars.Series([1]), pyarrow.table(columns))
        assert shown == [("", "DataFrame (2, 2)"), ("", "Series (1,) Int64"), ("", "Table (2, 2)")]

    def test_a_type_of_an_array_library_without_a_shape_is_its_name(self) -> None:
        numpy = pytest.importorskip("numpy")
        assert texts(numpy.random.default_rng()) == [("", "Generator")]

    def test_a_users_array_is_its_type(self) -> None:
        numpy = pytest.importorskip("numpy")

        class Own(numpy.ndarray):  # type: ignore[misc, name-defined]
            @property
            def shape(self) -> Any:
                raise AssertionError("code of the user")

        assert texts(numpy.zeros(3).view(Own)) == [("", "Own")]

    def test_a_class_whose_metaclass_has_own_rules_is_its_name(self) -> None:
        strange = type.__call__(Meta, "Strange", (), {})
        assert texts(object.__new__(strange)) == [("", "Strange")]
        assert stage.log == []

    def test_a_keyword_that_is_no_valid_text_is_replaced(self) -> None:
        assert texts(**{"\ud800": 1}) == [("?", "1")]

    def test_a_dict_that_its_thread_changes_meanwhile_is_its_type(self) -> None:
        class Growing:
            pass

        shared: dict[Any, Any] = {1: 1, 2: Growing()}

        def other(value: Any) -> str:
            shared[3] = 3
            return "other"

        plain = arguments_now._REPR._other
        arguments_now._REPR._other = other
        try:
            assert texts(shared | {}) == [("", "{1: 1, 2: other}")]
            shared.pop(3)
            assert texts(shared) == [("", "dict")]
        finally:
            arguments_now._REPR._other = plain

    def test_a_function_without_a_signature_names_no_argument(self) -> None:
        assert arguments_now.of_call((functools.partial(len), (1,), {}), None) == [("", "1")]

    def test_a_class_names_the_arguments_of_its_constructor(self) -> None:
        assert arguments_now.of_call((Busy, (True,), {}), None) == [("blocks", "True")]
        assert arguments_now.of_call((object, (1,), {}), None) == [("", "1")]
