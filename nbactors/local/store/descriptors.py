"""The error that a user gets when a process has no free file descriptor."""

from __future__ import annotations

import errno
import os
import resource

from nbactors import exceptions


def exhausted(what: str) -> exceptions.RaySystemError:
    """Return the error for an operation that needs a descriptor when none is free.

    Args:
        what: The operation that failed, as the beginning of a sentence.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return exceptions.RaySystemError(
        f"{what}: the process (pid {os.getpid()}) has no free file descriptor; its limit is {soft} (`ulimit -n`). "
        "Raise that limit before the start, or let go of files and of references to large values: each value of more "
        "than 100 KiB takes one descriptor in every process that holds it"
    )


def is_exhausted(error: OSError) -> bool:
    """Return whether `error` means that this process, or the system, has no free descriptor."""
    return error.errno in (errno.EMFILE, errno.ENFILE)
