"""Messages of the node with its forkservers."""

import os
from typing import Union

from nbactors.local.wire.messages.message import Message, RuntimeEnv

NO_RUNTIME_ENV = os.EX_CONFIG
"""The exit status of a worker that could not apply its runtime_env. No code of the user's has run before."""


class Fork(Message, tag=50, frozen=True):
    """Fork a worker. Two descriptors travel with it: the write ends of its stdout and stderr.

    Attributes:
        process_id: The worker's.
        directory: The node's private directory: the worker connects to `node.sock` there and listens in `p/`.
        sys_path, cwd: Empty when they are the forkserver's own. These and the directory in bytes, see `os_bytes`.
        modules: To be imported before, for this worker and all later ones.
    """

    process_id: bytes
    directory: bytes
    title: str
    sys_path: list[bytes]
    cwd: bytes
    runtime_env: RuntimeEnv | None
    modules: list[str] = []  # noqa: RUF012 - msgspec makes it anew for each message


class Forked(Message, tag=51, frozen=True):
    """The worker's process id (`pid` 0: the fork failed, `text` says why)."""

    process_id: bytes
    pid: int
    text: str


class Exited(Message, tag=52, frozen=True):
    """A worker has ended.

    Attributes:
        status: As `os.waitstatus_to_exitcode` gives it: negative for a signal. `NO_RUNTIME_ENV` of one that had not
            registered yet: it could not apply its runtime_env, and its stderr says why.
    """

    process_id: bytes
    pid: int
    status: int


ForkMessage = Union[Fork, Forked, Exited]  # noqa: UP007 - msgspec reads it at run time
