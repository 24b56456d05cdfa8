"""Remote tracebacks: the user's frames, all of them, and no others."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from pathlib import Path

import pytest

from nbactors.definitions.metadata import FunctionMeta
from nbactors.exceptions import user_traceback as module
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


def of_python(error):
    return "".join(traceback.format_exception(error))


def nested(depth):
    return nested(depth - 1) + 1 if depth else {}["missing"]


def in_parts():
    value = None
    return (
        nested(0)
        if value else value.missing
    )  # fmt: skip


def through_eval():
    return eval(compile("1 / 0", "<typed>", "eval"))


def in_a_chain():
    try:
        nested(2)
    except KeyError as error:
        raise ValueError("second") from error


@pytest.mark.parametrize("function", [lambda: nested(2), lambda: nested(9), in_parts, through_eval, in_a_chain])
def test_the_user_s_frames_are_shown_as_python_shows_them_each_time(function):
    expected = of_python(caught(function))
    assert [user_traceback(caught(function)) for _ in range(2)] == [expected] * 2


def test_two_places_in_one_line_have_each_its_own_text():
    def user(which):
        return {}[(which and "first") or "second"] if which else nested(0)

    errors = [caught(lambda: user(0)), caught(lambda: user(1))]
    assert [user_traceback(error) for error in errors * 2] == [of_python(error) for error in errors] * 2


def test_a_changed_file_is_shown_as_it_is_now(tmp_path: Path):
    file = tmp_path / "changing.py"

    def run(comment):
        file.write_text(f"def user():\n    return 1 / 0  # {comment}\n")
        os.utime(file, (len(comment), len(comment)))
        spec = importlib.util.spec_from_file_location("changing", file)
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return user_traceback(caught(loaded.user))

    assert "# first" in run("first")
    assert "# as it is now" in run("as it is now")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 underlines nothing")
def test_not_more_texts_are_remembered_than_a_number(monkeypatch):
    monkeypatch.setattr(module, "_MOST_TEXTS", 3)
    module._Stack._texts.clear()
    for depth in range(3):
        user_traceback(caught(lambda: nested(depth)))  # noqa: B023 - called at once
        in_a = caught(in_a_chain)
        assert user_traceback(in_a) == of_python(in_a)
        assert 0 < len(module._Stack._texts) <= 3


def test_a_limit_of_frames_is_kept(monkeypatch):
    store = SegmentStore(lambda action: nested(3), Room(0))
    error = caught(lambda: store.discard(None))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "tracebacklimit", 2, raising=False)
    text = user_traceback(error)
    assert text.count('File "') == 2
    assert "KeyError: 'missing'" in text
