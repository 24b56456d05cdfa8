"""The paths of the files that an actor's next process reads at a restart. No input or output here.

The files lie in `FOLDER` in the node's directory, and are named after the actor. The node removes them when the actor
is dead. Processes of the actor and processes that have handles to it write and read them; the node never does, so no
value of users comes into its memory.
"""

from __future__ import annotations

import os

FOLDER = "restarts"

_CONSTRUCTOR, _CLASS, _CHECKPOINT = "constructor", "class", "checkpoint"


def constructor(directory: str, actor_id: bytes) -> str:
    """Return the path of the call of a detached actor's constructor, for a restart without the creator.

    Args:
        directory: The node's directory.
        actor_id: The actor's id, 16 bytes.
    """
    return _path(directory, actor_id, _CONSTRUCTOR)


def changed_class(directory: str, actor_id: bytes) -> str:
    """Return the path of the class of an actor's last update. Arguments: see `constructor`."""
    return _path(directory, actor_id, _CLASS)


def checkpoint(directory: str, actor_id: bytes) -> str:
    """Return the path of the description of an actor's last checkpoint. Arguments: see `constructor`."""
    return _path(directory, actor_id, _CHECKPOINT)


def draft(directory: str) -> str:
    """Return a fresh path for a file that is moved to its place later. `directory`: see `constructor`."""
    return os.path.join(directory, FOLDER, f"{os.urandom(8).hex()}.draft")


def all_of(directory: str, actor_id: bytes) -> list[str]:
    """Return the paths of all files of an actor. Arguments: see `constructor`."""
    return [_path(directory, actor_id, kind) for kind in (_CONSTRUCTOR, _CLASS, _CHECKPOINT)]


def _path(directory: str, actor_id: bytes, kind: str) -> str:
    return os.path.join(directory, FOLDER, f"{actor_id.hex()}.{kind}")
