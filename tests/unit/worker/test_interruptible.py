"""Where an interrupt may be raised: in the call's own code, and not where that has called the runtime."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from nbactors.engine.unready_list import UnreadyList
from nbactors.local.worker.running.interrupts import invoke, is_in_user_code
from nbactors.testing import eventually


def asked_in(function: Callable[..., Any], *args: Any) -> bool:
    return bool(invoke(function, args, {}))


def ask() -> bool:
    return is_in_user_code(sys._getframe())


def test_in_the_code_of_a_call():
    assert asked_in(ask)


def test_deep_below():
    def descend(depth: int) -> bool:
        return descend(depth - 1) if depth else ask()

    assert asked_in(descend, 200)


def test_while_the_code_of_a_call_waits_for_a_condition():
    def wait() -> bool:
        return is_in_user_code(eventually(lambda: sys._getframe(1)))

    assert asked_in(wait)


def test_not_outside_of_a_call():
    assert not ask()


def test_not_in_the_frame_that_calls():
    assert not is_in_user_code(None)
    frames = invoke(sys._getframe, (), {})
    assert not is_in_user_code(frames)


def test_not_where_the_runtime_has_been_called():
    # Its frame lies between: it may hold a lock, or have half a frame sent.
    class Asking:
        def __init__(self) -> None:
            self.answers: list[bool] = []

        def __eq__(self, other: object) -> bool:
            return False

        def __index__(self) -> int:
            self.answers.append(ask())
            return 0

        __hash__ = None  # type: ignore[assignment]

    def call_the_runtime() -> list[bool]:
        asking = Asking()
        UnreadyList([1]).insert(asking, 2)
        return asking.answers

    assert invoke(call_the_runtime, (), {}) == [False]
