"""`Bell`: ends a blocking poll from elsewhere."""

from __future__ import annotations

import os


class Bell:
    """A pipe of this process: whoever polls its descriptor is woken when it is rung."""

    __slots__ = ("_reader", "_writer")

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    @property
    def is_open(self) -> bool:
        """Whether it can be rung."""
        return self._writer >= 0

    def fileno(self) -> int:
        """Return the descriptor that is readable once it was rung."""
        return self._reader

    def ring(self) -> None:
        """Make the next poll return at once, if none runs now. Any thread; takes no lock.

        Safe in signal handlers and finalizers.
        """
        try:
            os.write(self._writer, b"\0")
        except OSError:  # full: it will wake anyhow; closed: nobody to wake
            pass

    def still(self) -> None:
        """Make it ready to be rung again. Whoever polls it."""
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            pass

    def forget(self) -> None:
        """Never ring again, and leave it open: in a forked child, which must not wake the parent's poll."""
        self._writer = -1

    def close(self) -> None:
        """Close it. Idempotent."""
        writer, self._writer = self._writer, -1
        if writer >= 0:
            os.close(self._reader)
            os.close(writer)
