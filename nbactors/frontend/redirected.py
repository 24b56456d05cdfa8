"""Blocks of the user's that redirect sys.stdout or sys.stderr, such as `redirect_stdout` and the magic `%%capture`.

Such a block takes the lines of calls, too. Lines may come later than the result of their call, so `get`, `wait` and
`await` inside the block wait for them. A stream is redirected if it is neither the process's own nor the stream that
was there when the session, or in a notebook the running cell, began. So a stream that an earlier cell has replaced for
good is not redirected: lines stay under their cell.
"""

from __future__ import annotations

import sys
from typing import Any

WAIT_S = 0.2
"""Seconds that `get`, `wait` and `await` inside a block wait at most for the lines of calls that have ended."""

stdout: Any = None
stderr: Any = None
"""The streams outside any block; None in a worker."""


def note(own_stdout: Any, own_stderr: Any) -> None:
    """Note the streams outside any block: a session or a cell begins. On the thread that begins it."""
    global stdout, stderr
    stdout, stderr = own_stdout, own_stderr


def has_any() -> bool:
    """Return whether sys.stdout or sys.stderr is redirected now; False in a worker. Any thread."""
    return stream(1) is not None or stream(2) is not None


def stream(number: int) -> Any:
    """Return what a block has in place of stdout (1) or stderr (2), None if it is not redirected. Any thread."""
    if number == 1:
        now, usual = sys.stdout, (stdout, sys.__stdout__)
    else:
        now, usual = sys.stderr, (stderr, sys.__stderr__)
    return None if stdout is None or any(now is own for own in usual) else now
