"""The short ids of calls, for people.

A call's id is the `worker_id` of its caller, 32 hexadecimal digits, and the call's number in this process, 16 digits.
So the first digits are the same for all calls of a process, and most of the last ones are 0. The short id has the
first digits of the caller and the number, such as "3f9a-17". Numbers are decimal, and rise with each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CALLER_DIGITS = 32
"""The digits of a call's id that are its caller's `worker_id`."""

DIGITS = 48
"""The digits of a whole id."""

LEAST = 4
"""The least digits of the caller in a short id."""

_HEX = frozenset("0123456789abcdef")


def caller(task_id: str) -> str:
    """Return the `worker_id` of the process that has made a call."""
    return task_id[:CALLER_DIGITS]


def short_ids(task_ids: Iterable[str]) -> dict[str, str]:
    """Return the short id of each call. Callers get as many digits as tell them apart, all the same number."""
    whole = list(task_ids)
    callers = {caller(task_id) for task_id in whole}
    digits = LEAST
    while len({one[:digits] for one in callers}) < len(callers):
        digits += 1
    return {task_id: f"{task_id[:digits]}-{_number(task_id)}" for task_id in whole}


def is_whole(text: str) -> bool:
    """Return whether a text is a whole id."""
    return len(text) == DIGITS and set(text) <= _HEX


def find(text: str, calls: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the call that a whole or short id stands for.

    Args:
        text: The id. A short id may have more digits of the caller than `short_ids` gives.
        calls: Rows of `nbactors.util.state.list_tasks`.

    Raises:
        ValueError: The text is no id, or none or several of the calls have this id.
    """
    text = text.lower()
    prefix, dash, number = text.partition("-")
    if is_whole(text):
        found = [row for row in calls if row["task_id"] == text]
    elif dash and len(prefix) >= LEAST and set(prefix) <= _HEX and number.isascii() and number.isdigit():
        wanted = int(number)
        found = [
            row
            for row in calls
            if caller(row["task_id"]).startswith(prefix) and _number(row["task_id"]) == wanted and is_call(row)
        ]
    else:
        raise ValueError(
            f"{text!r} is no id of a call; list_tasks() tells which there are. Ids are such as 3f9a-17, or have "
            f"{DIGITS} hexadecimal digits"
        )
    if not found:
        raise ValueError(f"there is no call {text}; list_tasks() tells which there are")
    if len(found) > 1:
        whole = ", ".join(row["task_id"] for row in found)
        raise ValueError(f"several calls have the short id {text}; give one of their whole ids: {whole}")
    return found[0]


def is_call(row: Mapping[str, Any]) -> bool:
    """Return whether a row is a call that can be cancelled: the construction of an actor is none."""
    return bool(row["type"] != "ACTOR_CREATION_TASK")


def _number(task_id: str) -> int:
    return int(task_id[CALLER_DIGITS:], 16)
