"""How long a node stays when nothing runs on it."""

from __future__ import annotations

import os

from nbactors.limits import MAX_SECONDS

VARIABLE = "NBACTORS_LINGER_S"
DEFAULT_S = 1.0


def linger_s() -> float:
    """Return for how many seconds a node stays when nothing runs on it any more.

    Raises:
        ValueError: The environment variable does not hold such a number; the text says what it may hold.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return DEFAULT_S
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_SECONDS:  # also true for nan
        raise ValueError(
            f"the environment variable {VARIABLE} must hold the seconds that an idle node stays, from 0 to "
            f"{MAX_SECONDS:.0f}. Got: {given!r}. Unset it for the default, {DEFAULT_S:g} s"
        )
    return seconds
