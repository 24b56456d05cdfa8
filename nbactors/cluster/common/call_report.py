"""`CallReport`: what a worker reports of a call, for listings, panels and traces."""

from __future__ import annotations

from typing import NamedTuple

KNOWN = -1.0
"""Stands for the time of the submission, where the process that has submitted the call tells it to the session."""

ID_SIZE = 8
"""Bytes of Ray's id that tell the calls of a session apart. The others are those of the actor and the job."""


class CallReport(NamedTuple):
    """A call that has begun. It travels as a plain tuple. Times in seconds since 1970, by the clock of its node.

    Attributes:
        number: Ray's id of the call, 24 bytes.
        name: Its name in listings.
        function: The name of the function, such as `Counter.add`.
        kind: "ACTOR_CREATION_TASK", "ACTOR_TASK" or "NORMAL_TASK".
        cell: The number of the calling cell, 0 for none.
        parent: Ray's id of the call that has made it, empty for none, and where `submitted` is KNOWN.
        submitted: When it was submitted, or KNOWN.
        started: When it has begun.
        ended: When it has ended, 0 for not yet.
        error_type: The kind of the error that it has ended with, as in `list_tasks`; empty for none.
        error: The end of its text.
    """

    number: bytes
    name: str
    function: str
    kind: str
    cell: int
    parent: bytes
    submitted: float
    started: float
    ended: float = 0.0
    error_type: str = ""
    error: str = ""
