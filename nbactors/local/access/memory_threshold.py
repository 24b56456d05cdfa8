"""The share of the memory above which the node ends tasks and actors."""

from __future__ import annotations

import os

VARIABLE = "NBACTORS_MEMORY_THRESHOLD"
DEFAULT = 0.95


def memory_threshold() -> float:
    """Return the share of the machine's or the container's memory above which the node ends tasks and actors.

    Raises:
        ValueError: The environment variable does not hold such a number; the text says what it may hold.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return DEFAULT
    try:
        share = float(given)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:  # also true for nan
        raise ValueError(
            f"the environment variable {VARIABLE} must hold the share of the memory that may be in use, above 0 and up "
            f"to 1, which means no limit. Got: {given!r}. Unset it for the default, {DEFAULT:g}"
        )
    return share
