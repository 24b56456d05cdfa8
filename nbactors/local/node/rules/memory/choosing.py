"""Chooses the process that is ended for lack of memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WORTH_BYTES = 32 << 20
"""A process that uses less is not worth its end."""


class Candidate(NamedTuple):
    """A worker that may be ended.

    Attributes:
        process_id: The worker's id.
        used: Bytes in RAM of its own.
        growth: Bytes that it has grown by of late.
        lease_id: The number of its lease, which is higher for a newer one; 0 for an actor.
        is_retriable: Whether its task runs again after a crash.
        is_detached: Whether its actor is detached.
    """

    process_id: bytes
    used: int
    growth: int
    lease_id: int = 0
    is_retriable: bool = False
    is_detached: bool = False


def choose(candidates: Sequence[Candidate]) -> tuple[Candidate, str] | None:
    """Return the worker to end, and why it is this one; None if none is worth it.

    The order: the newest task that can be retried, as in Ray; the actor that has grown most and is not detached; the
    newest task that cannot be retried.
    """
    worth = [candidate for candidate in candidates if candidate.used >= WORTH_BYTES]
    tasks = sorted((one for one in worth if one.lease_id), key=lambda one: one.lease_id)
    retriable = [task for task in tasks if task.is_retriable]
    if retriable:
        return retriable[-1], "it ran the newest task that can be retried"
    actors = [one for one in worth if not one.lease_id and not one.is_detached]
    if actors:
        return max(actors, key=lambda one: (one.growth, one.used)), "it is the actor that has grown most of late"
    if tasks:
        return tasks[-1], "it ran the newest task"
    return None
