"""What is kept of a failed call's frames, whatever their locals do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from nbactors.exceptions.task_error import RemoteFrame
from nbactors.in_worker.snapshot import MAX_FRAMES, MAX_LOCALS, MAX_TEXT, TIME_S, snapshot


class Raising:
    def __repr__(self) -> str:
        raise KeyError("no")


class Huge:
    def __repr__(self) -> str:
        return "x" * 10_000_000


class Hanging:
    def __init__(self) -> None:
        self.go = threading.Event()

    def __repr__(self) -> str:
        self.go.wait(30)
        return "late"


def taken(function: Callable[..., Any], *args: Any) -> list[RemoteFrame]:
    with pytest.raises(Exception, match=r"division|deep") as caught:
        function(*args)
    return snapshot(caught.value)[1:]


def fail(value: Any) -> None:
    other = 5
    value, other, 1 / 0  # noqa: B018


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("text", "'text'"),
        ({"a": [1, (2,), {3}, set()]}, "{'a': [1, (2,), {3}, set()]}"),
        (Raising(), "<Raising object: its repr raises KeyError>"),
        ([Raising()], "<list object: its repr raises KeyError>"),
        (slice(Raising()), "<slice object: its repr raises KeyError>"),
        (10**100_000, "<int of 332193 bits>"),
        ("y" * 10_000_000, f"'{'y' * (MAX_TEXT - 2)}…"),
        (Huge(), "x" * (MAX_TEXT - 1) + "…"),
    ],
    ids=["text", "nested", "raising", "raising item", "raising slice", "huge number", "huge text", "huge repr"],
)
def test_a_local_is_its_repr(value: Any, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine the short time that it takes else is over before a thread has begun.
    monkeypatch.setattr("nbactors.in_worker.snapshot.TIME_S", 30.0)
    (frame,) = taken(fail, value)
    assert frame.variables == {"value": shown, "other": "5"}
    assert frame.function == "fail"
    assert "1 / 0" in frame.source[frame.line - frame.first]


def test_of_a_huge_container_only_a_few_items_are_looked_at() -> None:
    (frame,) = taken(fail, list(range(1_000_000)))
    assert frame.variables["value"].startswith("[0, 1, 2, ")
    assert frame.variables["value"].endswith("… (1000000 in all)]")


def test_a_repr_that_hangs_holds_nothing_up() -> None:
    hanging = Hanging()
    begun = monotonic()
    (frame,) = taken(fail, hanging)
    assert monotonic() - begun < TIME_S + 5
    hanging.go.set()
    assert frame.variables == {"value": "<Hanging object: its repr took too long>", "other": "5"}


def test_deep_recursion_and_many_locals_are_cut() -> None:
    def deep(depth: int) -> None:
        if not depth:
            exec("\n".join(f"v{number} = {number}" for number in range(100)) + "\nraise ValueError('deep')", {})
        deep(depth - 1)

    frames = taken(deep, 100)
    assert len(frames) == MAX_FRAMES - 1
    assert len(frames[-1].variables) == MAX_LOCALS
    assert frames[-2].variables["depth"] == "0"
