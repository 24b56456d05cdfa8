"""Descriptors 0, 1 and 2 of a session: those that its program has closed are replaced before a session starts."""

from __future__ import annotations

import os


def occupy() -> None:
    """Open /dev/null for each of standard input, output and error that is closed. Any thread, before the first socket.

    The system gives a new socket the lowest free number. A socket with one of these numbers would receive what C code
    prints to standard error, and a program that becomes a daemon would close it.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # This number is the lowest free one, because all lower numbers are in use by now.
            os.open(os.devnull, flags)
