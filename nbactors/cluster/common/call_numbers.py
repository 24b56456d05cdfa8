"""The ids of calls in listings, made from their numbers."""

from __future__ import annotations

CONSTRUCTION = "f" * 16
"""How the id of an actor's construction begins, as in Ray."""

_NUMBER_SIZE = 16
_CONSTRUCTION_MARK = b"\xff"


def task_id_of(number: bytes, is_construction: bool = False) -> str:
    """Return the id of a call in listings, 48 digits: 32 are those of its caller, 16 those of its number there."""
    begin = CONSTRUCTION if is_construction else ""
    return f"{begin + number[:8].hex():0<32}{int.from_bytes(number[8:], 'little'):016x}"


def number_of(task_id: str) -> bytes:
    """Return the number of a call for its id in listings."""
    return bytes.fromhex(task_id[:16]) + int(task_id[32:], 16).to_bytes(8, "little")


def parent_of(number: bytes, is_construction: bool) -> bytes:
    """Return what tells a call that the call with this number has made it."""
    return number + _CONSTRUCTION_MARK if is_construction else number


def parent_task_id(parent: bytes) -> str:
    """Return the id in listings for what `parent_of` has returned; empty for none."""
    return task_id_of(parent[:_NUMBER_SIZE], len(parent) > _NUMBER_SIZE) if parent else ""
