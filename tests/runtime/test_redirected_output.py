"""`redirect_stdout` around `get` and `wait` takes the lines of calls, also those that come after the result."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator

import pytest

import nbactors as ray
from nbactors.frontend import redirected

pytestmark = pytest.mark.slow


@ray.remote
class Speaker:
    def say(self, word: str) -> str:
        print(word)
        return word

    def fail(self, word: str) -> None:
        print(word, file=sys.stderr)
        raise ValueError(word)


@pytest.fixture(scope="module")
def speaker() -> Iterator[ray.actor.ActorHandle[Speaker]]:
    ray.init(num_cpus=2)
    speaker = Speaker.remote()
    ray.get(speaker.say.remote("ready"))
    yield speaker
    ray.shutdown()


def words(text: str) -> list[str]:
    return [line.split(") ", 1)[1] for line in text.splitlines()]


def test_lines_of_a_call_are_there_when_get_returns(speaker: ray.actor.ActorHandle[Speaker]) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as taken:
        for number in range(50):
            ray.get(speaker.say.remote(f"word {number}"))
            assert words(taken.getvalue())[-1] == f"word {number}"


def test_lines_of_a_call_are_there_when_wait_returns(speaker: ray.actor.ActorHandle[Speaker]) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as taken:
        ray.wait([speaker.say.remote("waited for")])
        assert words(taken.getvalue())[-1] == "waited for"


def test_lines_of_a_failed_call_are_there_when_get_raises(speaker: ray.actor.ActorHandle[Speaker]) -> None:
    with contextlib.redirect_stderr(io.StringIO()) as taken:
        with pytest.raises(ValueError, match="on purpose"):
            ray.get(speaker.fail.remote("on purpose"))
        assert words(taken.getvalue())[-1] == "on purpose"


def test_a_callback_on_the_thread_that_reads_the_lines_does_not_wait_for_them(
    speaker: ray.actor.ActorHandle[Speaker],
) -> None:
    got: list[str] = []
    with contextlib.redirect_stdout(io.StringIO()):
        ref = speaker.say.remote("for a callback")
        future = ref.future()
        future.add_done_callback(lambda _: got.append(ray.get(ref)))
        future.result(30)
        ray.get(speaker.say.remote("the next"))
    assert got == ["for a callback"]


def test_only_a_stream_that_was_replaced_since_the_session_began_is_redirected(
    speaker: ray.actor.ActorHandle[Speaker],
) -> None:
    assert not redirected.has_any()
    with contextlib.redirect_stdout(io.StringIO()):
        assert redirected.has_any()
        with contextlib.redirect_stdout(sys.__stdout__):
            assert not redirected.has_any()
