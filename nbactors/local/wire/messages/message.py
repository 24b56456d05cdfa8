"""The base class and the types of fields that all conversations share."""

from typing import Annotated

import msgspec
from msgspec import Meta

from nbactors.limits import MAX_NAME

PROTOCOL_VERSION = 19


Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
"""A number of items, or a number that identifies an item."""
Name = Annotated[str, Meta(max_length=MAX_NAME)]
Pid = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
ProcessId = Annotated[bytes, Meta(max_length=16)]


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Base of all messages."""


class Hello(Message, tag=1, frozen=True):
    """The first message of every control and peer connection.

    Attributes:
        version: The sender's `PROTOCOL_VERSION`.
        process_id: 16 bytes; the node chooses a worker's, a session chooses its own; empty for the command line.
        pid: The operating system's process id.
        role: "session", "worker", "cli" or "peer".
        package_version: The version of nbactors, for the text about a mismatch.
        returns: Whether a session or worker of a node that has crashed comes to the next node.
        is_spare: Whether a worker has no order yet: its forkserver has made it ahead.
    """

    version: int
    process_id: ProcessId
    pid: Pid
    role: Name
    package_version: Name
    returns: bool = False
    is_spare: bool = False


class ListenAgain(Message, tag=115, frozen=True):
    """Node to session or worker: the socket file on which it listens was removed; it must listen again."""


class RuntimeEnv(Message, tag=9, frozen=True):
    """The supported part of Ray's runtime_env; applied in the worker after the fork. For the bytes see `os_bytes`.

    Attributes:
        packages: The directory of the installed packages in their environment; empty for none.
        hook: The pickled function to call, or its pickled dotted name; empty for none. The node unpickles it not.
    """

    env_vars: dict[bytes, bytes]
    working_dir: bytes
    py_modules: list[bytes]
    packages: bytes = b""
    hook: bytes = b""
