"""Identifiers: random bytes for processes and actors, structured bytes for tasks and objects.

An object's id contains its owner: ``process id (16) + call number (8) + return index (4)``. The lengths are Ray's (28
bytes for an object, 24 for a task, 16 for an actor, 4 for a job), so ``hex()`` has Ray's length, too.
"""

import os
from time import monotonic

PROCESS_ID_SIZE = 16
ACTOR_ID_SIZE = 16
NODE_ID_SIZE = 28
TAG_SIZE = 4
TASK_ID_SIZE = 24
OBJECT_ID_SIZE = 28
_TAGS = 1 << 8 * TAG_SIZE


def new_process_id() -> bytes:
    """Return 16 random bytes that name a session or worker process."""
    return os.urandom(PROCESS_ID_SIZE)


def socket_name(process_id: bytes) -> str:
    """Return the file name of a process's socket. It is short, because the whole path has 104 bytes at most."""
    return process_id[:8].hex()


def new_node_id() -> bytes:
    """Return 28 bytes that name a node: its tag, which is the time of its start, and random bytes."""
    return (int(monotonic() * 1000) % _TAGS).to_bytes(TAG_SIZE, "big") + os.urandom(NODE_ID_SIZE - TAG_SIZE)


def came_before(tag: bytes, other: bytes) -> bool:
    """Return whether the node of one tag was started before the node of another, within 24 days of each other."""
    return 0 < (int.from_bytes(other, "big") - int.from_bytes(tag, "big")) % _TAGS < _TAGS // 2


def new_actor_id(job_id: bytes) -> bytes:
    """Return 16 bytes that name an actor: random ones, and the id of its session, as in Ray."""
    return os.urandom(ACTOR_ID_SIZE - len(job_id)) + job_id


def task_id(process_id: bytes, number: int) -> bytes:
    """Return the id of the ``number``-th call or put of a process."""
    return process_id + number.to_bytes(8, "big")


def creation_task_id(actor_id: bytes) -> bytes:
    """Return the id of the construction of an actor. It begins with eight 0xff bytes, as in Ray."""
    return b"\xff" * 8 + actor_id


def object_id(process_id: bytes, number: int, index: int) -> bytes:
    """Return the id of return value ``index`` of the ``number``-th call of a process."""
    return process_id + number.to_bytes(8, "big") + index.to_bytes(4, "big")


def owner_of(oid: bytes) -> bytes:
    """Return the process id of the owner of an object id."""
    return oid[:PROCESS_ID_SIZE]


def number_of(oid: bytes) -> int:
    """Return the call number within an object id."""
    return int.from_bytes(oid[PROCESS_ID_SIZE:TASK_ID_SIZE], "big")


def index_of(oid: bytes) -> int:
    """Return the return index within an object id."""
    return int.from_bytes(oid[TASK_ID_SIZE:OBJECT_ID_SIZE], "big")


def cell_of(origin: int) -> int:
    """Return the number of the notebook cell in an origin, 0 for none. See `Call` for origins."""
    return origin & 0xFFFF_FFFF
