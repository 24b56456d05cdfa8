"""The text streams of a worker, which user code has as `sys.stdout` and `sys.stderr`."""

from __future__ import annotations

import os
from io import TextIOWrapper


def text_stream(number: int) -> TextIOWrapper:
    """Return a stream that writes to this descriptor, which is open. In the forkserver, which has one thread.

    A stream asks its descriptor when it is made, for instance whether it can seek. So it is made over a pipe, which is
    what the descriptor will be in a worker.
    """
    kept = os.dup(number)
    ends = os.pipe()
    try:
        os.dup2(ends[1], number)
        return open(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    finally:
        os.dup2(kept, number)
        for descriptor in (kept, *ends):
            os.close(descriptor)
