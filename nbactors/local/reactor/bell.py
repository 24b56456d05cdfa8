"""`Bell`: ends a blocking poll from another thread or from a signal handler."""

from __future__ import annotations

import os


class Bell:
    """A pipe within this process. A thread that polls its descriptor wakes up when the bell is rung."""

    __slots__ = ("_reader", "_writer")

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    @property
    def is_open(self) -> bool:
        """Whether the bell can be rung."""
        return self._writer >= 0

    @property
    def writer(self) -> int:
        """The descriptor that rings the bell when it is written to; -1 after `forget` or `close`."""
        return self._writer

    def fileno(self) -> int:
        """Return the descriptor that is readable after the bell was rung."""
        return self._reader

    def ring(self) -> None:
        """End the poll that runs now, or else the next one. Any thread; takes no lock.

        Safe in signal handlers and finalizers.
        """
        try:
            os.write(self._writer, b"\0")
        except OSError:  # full: the poll ends anyhow; closed: no poll to end
            pass

    def still(self) -> None:
        """Take the rings out, so that the next poll blocks again. On the thread that polls."""
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            pass

    def renew(self) -> None:
        """Be a pipe of its own, in a forked child. The numbers of the descriptors stay."""
        ends = os.pipe()
        for fresh, own in zip(ends, (self._reader, self._writer), strict=True):
            os.set_blocking(fresh, False)
            os.dup2(fresh, own, inheritable=False)
            os.close(fresh)

    def forget(self) -> None:
        """Never ring again, but leave the pipe open: in a forked child, which must not end the polls of its parent."""
        self._writer = -1

    def close(self) -> None:
        """Close the pipe. Idempotent."""
        writer, self._writer = self._writer, -1
        if writer >= 0:
            os.close(self._reader)
            os.close(writer)
