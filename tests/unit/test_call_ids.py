"""The short ids of calls, and the calls that they stand for."""

from __future__ import annotations

from typing import Any

import pytest

from nbactors.util import call_ids


def task_id(caller: str, number: int) -> str:
    return caller.ljust(32, "0") + f"{number:016x}"


def row(caller: str, number: int, kind: str = "ACTOR_TASK") -> dict[str, Any]:
    return {"task_id": task_id(caller, number), "type": kind}


def test_a_short_id_has_the_first_digits_of_the_caller_and_the_decimal_number() -> None:
    whole = task_id("3f9acd", 17)
    assert call_ids.short_ids([whole]) == {whole: "3f9a-17"}
    assert call_ids.short_ids([]) == {}


def test_callers_with_the_same_first_digits_get_more_of_them() -> None:
    calls = [task_id("3f9acd", 17), task_id("3f9ace", 17), task_id("777777", 1)]
    assert list(call_ids.short_ids(calls).values()) == ["3f9acd-17", "3f9ace-17", "777777-1"]


def test_whole_and_short_ids_of_any_length_are_found() -> None:
    calls = [row("3f9acd", 17), row("3f9ace", 17), row("3f9acd", 18)]
    for text in (task_id("3f9acd", 17), "3f9acd-17", "3F9ACD-17", "3f9acd0000-17"):
        assert call_ids.find(text, calls) is calls[0]
    assert call_ids.find("3f9a-18", calls) is calls[2]


def test_an_unknown_id_and_an_ambiguous_id_are_refused() -> None:
    calls = [row("3f9acd", 17), row("3f9ace", 17)]
    with pytest.raises(ValueError, match=f"several calls have .*: {calls[0]['task_id']}, {calls[1]['task_id']}"):
        call_ids.find("3f9a-17", calls)
    with pytest.raises(ValueError, match="there is no call 3f9a-1;"):
        call_ids.find("3f9a-1", calls)


@pytest.mark.parametrize("text", ["", "17", "-17", "3f9-17", "3f9a-", "3f9a-x", "3f9g-17", "3f9a-²", "ab" * 23])
def test_a_text_that_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no id of a call"):
        call_ids.find(text, [row("3f9acd", 17)])


def test_the_construction_of_an_actor_has_no_short_id() -> None:
    construction = row("ffffffffffffffff3f9a", 5, "ACTOR_CREATION_TASK")
    assert not call_ids.is_call(construction)
    with pytest.raises(ValueError, match="there is no call ffff-5"):
        call_ids.find("ffff-5", [construction])
