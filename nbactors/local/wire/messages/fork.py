"""Messages between the node and its forkservers."""

import os
from typing import Union

from nbactors.local.wire.messages.message import Message, RuntimeEnv

NO_RUNTIME_ENV = os.EX_CONFIG
"""The exit status of a worker that could not apply its runtime_env. It has not run any user code."""


class Fork(Message, tag=50, frozen=True):
    """Node to forkserver: fork a worker. The write ends of its stdout and stderr are sent with this message.

    Attributes:
        process_id: The worker's.
        directory: The node's private directory: the worker connects to `node.sock` there and listens in `p/`.
        sys_path, cwd: Empty if they are the forkserver's own. For the bytes in these and the directory see `os_bytes`.
        modules: Imported by the forkserver before the fork, for this worker and all later ones.
    """

    process_id: bytes
    directory: bytes
    title: str
    sys_path: list[bytes]
    cwd: bytes
    runtime_env: RuntimeEnv | None
    modules: list[str] = []  # noqa: RUF012 - msgspec copies it for each message


class Forked(Message, tag=51, frozen=True):
    """Forkserver to node: the worker's pid, or 0 if the fork failed, for the reason in `text`."""

    process_id: bytes
    pid: int
    text: str


class Exited(Message, tag=52, frozen=True):
    """Forkserver to node: a worker has ended. For `status` see `os.waitstatus_to_exitcode`.

    `NO_RUNTIME_ENV` from a worker that has not registered: it could not apply its runtime_env; its stderr says why.
    """

    process_id: bytes
    pid: int
    status: int


class SpareMade(Message, tag=177, frozen=True):
    """Forkserver to node: a process waits that becomes the worker with this id, if that is ordered next."""

    process_id: bytes


class NotPreloaded(Message, tag=176, frozen=True):
    """Forkserver to node: why it has not imported modules of `Environment.preload`, by the module's name."""

    reasons: dict[str, str]


ForkMessage = Union[Fork, Forked, Exited, SpareMade, NotPreloaded]  # noqa: UP007 - msgspec reads it at run time
