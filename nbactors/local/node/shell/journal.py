"""The node's log file, which is its stdout and stderr."""

from __future__ import annotations

import os
import stat
import sys
import time

from nbactors.local.access.discovery import NODE_LOG


def note(text: str) -> None:
    """Write a line to the log, with the time."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", file=sys.stderr, flush=True)


def renew(directory: str) -> None:
    """Start a new log file if the old one was removed, so that users find later lines.

    Raises:
        OSError: The file cannot be created.
    """
    for descriptor in (1, 2):
        if is_removed(descriptor):
            path = os.path.join(directory, NODE_LOG)
            log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.dup2(log, descriptor)
            os.close(log)


def is_removed(descriptor: int) -> bool:
    """Return whether the file of an open descriptor was removed."""
    found = os.fstat(descriptor)
    return stat.S_ISREG(found.st_mode) and not found.st_nlink
