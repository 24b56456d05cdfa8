"""The content of the files in `nbactors.local.wire.restart_files`: pickled tuples, written completely or not at all.

The files belong to the node's directory, which only this user may enter. So they may be unpickled.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbactors.local.objects.held import Held

if TYPE_CHECKING:
    from nbactors.local.objects.entry import Entry
    from nbactors.pickling.pickling import Pickled

Parts = tuple[Any, Sequence[Any]]
"""The pickle stream of a value, and its out-of-band buffers."""


def write(path: str, content: Any) -> None:
    """Write a file, in place of the present one. Any thread; blocks it.

    Args:
        path: The file's path; its directory is created if it is missing.
        content: What `read` returns.

    Raises:
        OSError: The file cannot be written. A present file is unchanged.
    """
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    temporary = f"{path}-{os.urandom(4).hex()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            pickle.dump(content, file, 5)
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def read(path: str) -> Any:
    """Return the content of a file, None if there is no such file. Any thread; blocks it."""
    try:
        with open(path, "rb") as file:
            return pickle.load(file)
    except FileNotFoundError:
        return None


def remove(path: str) -> None:
    """Remove a file, if it exists."""
    try:
        os.unlink(path)
    except OSError:
        pass


def parts_of(value: Held | Entry | Pickled) -> Parts:
    """Return the parts of a pickled value for `write`, without a copy of large ones."""
    stored = getattr(value, "stored", None)
    data, buffers = (value.data, value.buffers) if stored is None else stored.views()
    return _large(data), [_large(buffer) for buffer in buffers]


def held(parts: Parts) -> Held:
    """Return a pickled value from its parts, as `read` has returned them."""
    data, buffers = parts
    return Held(data, buffers=buffers)


def _large(part: Any) -> Any:
    return part if isinstance(part, bytes) else pickle.PickleBuffer(part)
