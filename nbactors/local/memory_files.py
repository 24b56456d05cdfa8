"""Files whose bytes stand for memory: anonymous ones (memfd), or unlinked ones of a file system if there are none.

macOS and systems with a strict sandbox have no memfd. There the files lie in /dev/shm, which Docker makes 64 MiB large,
or in the temporary directory.
"""

from __future__ import annotations

import errno
import os

_NONE = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EINVAL)
"""The answers of a system that has no anonymous files, or does not allow them."""

_SHARED_MEMORY = "/dev/shm"


def anonymous(name: str) -> int | None:
    """Return the descriptor of an anonymous file, None if the system has none.

    Raises:
        OSError: The process has no descriptor left.
    """
    try:
        return os.memfd_create(name, os.MFD_CLOEXEC)
    except AttributeError:
        return None
    except OSError as error:
        if error.errno in _NONE:
            return None
        raise


def directory() -> str:
    """Return the directory for the files if there are no anonymous ones."""
    if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        return _SHARED_MEMORY
    return os.environ.get("TMPDIR") or "/tmp"


def limit() -> float:
    """Return how many bytes all files can have together: what is free in the file system. Anonymous ones need none."""
    try:
        fd = anonymous("nbactors-limit")
    except OSError:  # no descriptor: there are such files
        return float("inf")
    if fd is not None:
        os.close(fd)
        return float("inf")
    try:
        system = os.statvfs(directory())
    except OSError:
        return float("inf")
    return float(system.f_frsize * system.f_bavail)
