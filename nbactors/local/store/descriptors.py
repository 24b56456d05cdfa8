"""What is told when a process has no file descriptor left."""

from __future__ import annotations

import errno
import os
import resource

from nbactors import exceptions


def exhausted(what: str) -> exceptions.RaySystemError:
    """Return the error of something that needs a descriptor, when there is none.

    Args:
        what: What could not be done, as the beginning of a sentence.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return exceptions.RaySystemError(
        f"{what}: the process (pid {os.getpid()}) has no free file descriptor; its limit is {soft} (`ulimit -n`). "
        "Raise that limit before the start, or let go of files and of references to large values: each value of more "
        "than 100 KiB takes one descriptor in every process that holds it"
    )


def is_exhausted(error: OSError) -> bool:
    """Return whether this is the lack of a descriptor, in this process or in the system."""
    return error.errno in (errno.EMFILE, errno.ENFILE)
