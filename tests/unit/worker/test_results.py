"""What the caller gets back: values, several values, errors."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
from serving import Scene, stage

from nbactors import exceptions
from nbactors.definitions.metadata import STREAMING
from nbactors.local.wire import messages
from nbactors.local.worker.jobs.job import Job
from nbactors.options import CallOptions


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("no pickle of this")


class Answering:
    def echo(self, value: Any) -> Any:
        return value

    def count(self, number: int) -> Any:
        return list(range(number))

    def add(self, first: int, second: int = 0) -> int:
        return first + second

    def lock(self) -> Any:
        return threading.Lock()

    def fail(self) -> None:
        raise LookupError("no such thing")

    def fail_at_first(self, times: int, kind: str = "LookupError") -> str:
        stage.log.append("begun")
        if len(stage.log) <= times:
            raise {"LookupError": LookupError, "SystemError": SystemError}[kind]("again")
        return "at last"

    def yield_at_first(self, times: int) -> Any:
        stage.log.append("begun")
        yield 1
        if len(stage.log) <= times:
            raise LookupError("again")
        yield 2

    def fail_unpicklably(self) -> None:
        error = LookupError("no such thing")
        error.lock = threading.Lock()  # type: ignore[attr-defined]
        raise error

    def write(self, array: Any) -> None:
        array[0] = 1

    def wait(self) -> str:
        stage.await_("go on")
        return "waited"

    async def wait_async(self) -> str:
        await asyncio.to_thread(stage.await_, "go on")
        return "waited"


SMALL = [None, True, 5, 2.5, "text", b"bytes", (1, [2, {3: 4}])]


def test_a_value_comes_back_as_it_is(each: Scene) -> None:
    assert each.play(lambda scene: [scene.ask("echo", value) for value in SMALL], Answering) == SMALL


def test_arguments_go_by_position_and_by_keyword(each: Scene) -> None:
    assert each.play(lambda scene: scene.ask("add", 1, second=2), Answering) == 3


def test_a_reference_among_the_arguments_arrives_as_its_value(each: Scene) -> None:
    def body(scene: Scene) -> Any:
        one = scene.session.put(1)
        return scene.ask("add", one, second=scene.call("echo", 2))

    assert each.play(body, Answering) == 3


@pytest.mark.parametrize("size", [1_000, 1_000_000])
def test_an_array_comes_back_read_only_whatever_its_size(each: Scene, size: int) -> None:
    def body(scene: Scene) -> None:
        array = scene.ask("echo", np.arange(size))
        assert array.sum() == size * (size - 1) // 2
        assert not array.flags.writeable

    each.play(body, Answering)


def test_several_values_become_several_references(each: Scene) -> None:
    def body(scene: Scene) -> list[Any]:
        return [scene.get(ref) for ref in scene.call("count", 3, num_returns=3)]

    assert each.play(body, Answering) == [0, 1, 2]


def test_a_call_without_results_gives_no_reference_and_runs(each: Scene) -> None:
    def body(scene: Scene) -> Any:
        assert scene.call("count", 3, num_returns=0) is None
        return scene.ask("echo", "the next call is answered")

    assert each.play(body, Answering) == "the next call is answered"


@pytest.mark.parametrize("number", [1, 3])
def test_a_wrong_number_of_values_fails_every_reference(each: Scene, number: int) -> None:
    def body(scene: Scene) -> None:
        for ref in scene.call("count", number, num_returns=2):
            with pytest.raises(ValueError, match=f"Task returned {number} objects, but num_returns=2"):
                scene.get(ref)

    each.play(body, Answering)


def test_a_value_that_cannot_be_pickled_fails_its_call_and_says_which(each: Scene) -> None:
    def body(scene: Scene) -> None:
        with pytest.raises(TypeError, match=r"cannot pickle .*lock"):
            scene.ask("lock")
        assert scene.ask("echo", 1) == 1

    each.play(body, Answering)


def test_an_error_has_the_lines_of_the_method_and_none_of_the_runtime(each: Scene) -> None:
    def body(scene: Scene) -> None:
        with pytest.raises(LookupError, match="no such thing") as raised:
            scene.ask("fail")
        text = str(raised.value)
        assert "Answering.fail() (pid=" in text
        assert 'raise LookupError("no such thing")' in text
        assert "performer.py" not in text

    each.play(body, Answering)


@pytest.mark.parametrize("allowed", [True, (KeyError, LookupError)])
def test_a_method_that_raises_an_exception_that_may_be_retried_runs_again(each: Scene, allowed: Any) -> None:
    options = CallOptions(max_task_retries=2, retry_exceptions=allowed)
    assert each.play(lambda scene: scene.ask("fail_at_first", 2, options=options), Answering) == "at last"
    assert stage.log == ["begun"] * 3


@pytest.mark.parametrize(
    ("kind", "retries", "allowed"),
    [
        ("LookupError", 2, False),
        ("LookupError", 2, (TypeError,)),
        ("LookupError", 0, True),
        ("SystemError", 2, (LookupError,)),
    ],
)
def test_a_method_does_not_run_again_for_any_other(each: Scene, kind: str, retries: int, allowed: Any) -> None:
    options = CallOptions(max_task_retries=retries, retry_exceptions=allowed)

    def body(scene: Scene) -> None:
        with pytest.raises((LookupError, SystemError), match="again"):
            scene.ask("fail_at_first", 1, kind, options=options)

    each.play(body, Answering)
    assert stage.log == ["begun"]


def test_a_generator_that_runs_again_gives_each_value_once(each: Scene) -> None:
    options = CallOptions(max_task_retries=1, retry_exceptions=True)

    def body(scene: Scene) -> list[Any]:
        return scene.read(scene.call("yield_at_first", 1, num_returns=STREAMING, options=options))

    assert each.play(body, Answering) == [1, 2]
    assert stage.log == ["begun"] * 2


def test_an_error_that_cannot_be_pickled_arrives_as_its_text(each: Scene) -> None:
    def body(scene: Scene) -> None:
        with pytest.raises(exceptions.RayTaskError, match="no such thing"):
            scene.ask("fail_unpicklably")

    each.play(body, Answering)


def test_an_unknown_method_is_an_error_of_its_call(each: Scene) -> None:
    def body(scene: Scene) -> None:
        with pytest.raises(AttributeError, match="no_such_method"):
            scene.ask("no_such_method")

    each.play(body, Answering)


def test_writing_to_a_shared_array_says_that_it_is_shared(each: Scene) -> None:
    def body(scene: Scene) -> None:
        with pytest.raises(ValueError, match="may be a value from nbactors"):
            scene.ask("write", np.zeros(100_000))

    each.play(body, Answering)


def test_answers_of_waiting_calls_are_gathered_and_all_arrive(each: Scene) -> None:
    def body(scene: Scene) -> list[Any]:
        first = scene.call("wait")
        refs = [scene.call("echo", number) for number in range(200)]
        stage.reach("go on")
        return [scene.get(first), *map(scene.get, refs)]

    assert each.play(body, Answering) == ["waited", *range(200)]


def test_a_call_that_was_given_up_is_not_answered_twice(scene: Scene) -> None:
    def body(scene: Scene) -> Any:
        scene.ask("echo", 1)
        connection = next(iter(scene.worker.peers.incoming()))
        job = Job(connection, messages.Call(1, "echo", b""), None, [])
        job.answered = True
        scene.worker.executor.answers.give(job, "late")
        return scene.ask("echo", 2)

    assert scene.play(body, Answering) == 2


def test_a_coroutine_is_awaited_on_the_loop(on_loop: Scene) -> None:
    def body(scene: Scene) -> str:
        waiting = scene.call("wait_async")
        assert scene.ask("echo", 1) == 1
        stage.reach("go on")
        return scene.get(waiting)  # type: ignore[no-any-return]

    assert on_loop.play(body, Answering) == "waited"
