"""Remote tracebacks: the user's frames, all of them, and no others."""

from __future__ import annotations

from nbactors.definitions.metadata import FunctionMeta
from nbactors.exceptions.user_traceback import user_traceback
from nbactors.local.store.room import Room
from nbactors.local.store.segments import SegmentStore


def caught(function):
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("did not raise")


def test_frames_of_the_runtime_are_left_out():
    def user():
        raise KeyError("mine")

    # A store calls what it was given to post with: a frame of nbactors between the user's.
    store = SegmentStore(lambda action: user(), Room(0))
    text = user_traceback(caught(lambda: store.discard(None)))  # type: ignore[arg-type]
    assert "in user" in text
    assert "KeyError: 'mine'" in text
    assert "segments.py" not in text


def test_chains_are_kept():
    def user():
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError as error:
            raise ValueError("second") from error

    text = user_traceback(caught(user))
    assert text.index("ZeroDivisionError") < text.index("direct cause") < text.index("ValueError: second")


def test_an_error_without_frames_of_the_user_keeps_the_runtime_s():
    text = user_traceback(caught(lambda: FunctionMeta()))  # type: ignore[call-arg]
    assert "TypeError" in text


def test_an_error_that_is_its_own_cause_ends():
    error = ValueError("loop")
    other = ValueError("other")
    error.__cause__, other.__cause__ = other, error
    assert "loop" in user_traceback(error)
