"""Descriptors 0, 1 and 2 of a session: what its program has closed is replaced before the runtime opens anything."""

from __future__ import annotations

import os


def occupy() -> None:
    """Open /dev/null where there is no standard input, output or error. Any thread, before a session opens a socket.

    The system gives a new socket the lowest number that is free. A socket with one of these would get what C code
    prints to standard error, and would be closed by a program that becomes a daemon.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # The lowest that is free is this one: those below are in use.
            os.open(os.devnull, flags)
