"""What the messages of all conversations are made of."""

from typing import Annotated

import msgspec
from msgspec import Meta

from nbactors.limits import MAX_NAME

PROTOCOL_VERSION = 8


Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
"""A number of something, or that names something."""
Name = Annotated[str, Meta(max_length=MAX_NAME)]
Pid = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
ProcessId = Annotated[bytes, Meta(max_length=16)]


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Base of all messages."""


class Hello(Message, tag=1, frozen=True):
    """First message of every connection, in both conversations.

    Attributes:
        version: The sender's `PROTOCOL_VERSION`.
        process_id: 16 bytes; a worker's are chosen by the node, a session's by itself; empty for the command line.
        pid: The operating system's process id.
        role: "session", "worker", "cli" or "peer".
        package_version: nbactors' own version, for the message that tells of a mismatch.
    """

    version: int
    process_id: ProcessId
    pid: Pid
    role: Name
    package_version: Name


class RuntimeEnv(Message, tag=9, frozen=True):
    """The part of Ray's runtime_env that is served; applied in the worker after the fork."""

    env_vars: dict[str, str]
    working_dir: str
    py_modules: list[str]
