"""The option `num_returns`: the number of references that a call returns, or the way in which a generator streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbactors.limits import MAX_RETURNS
from nbactors.options.checks import kind

STREAMING = -1
"""`num_returns` of a generator whose values are separate objects, each ready as soon as it was yielded."""

DYNAMIC = -2
"""`num_returns` of a generator whose call has one result: an iterable of references to all yielded values."""

_CODES = {"streaming": STREAMING, "dynamic": DYNAMIC}


def num_returns_of(given: Mapping[str, Any]) -> int | None:
    """Return the option `num_returns`: a number, STREAMING, DYNAMIC, or None if it is not given.

    Raises:
        TypeError: The value has a wrong type.
        ValueError: The value is negative, more than `MAX_RETURNS`, or an unknown word.
    """
    value = given.get("num_returns")
    if isinstance(value, str):
        if value not in _CODES:
            raise ValueError(
                f"num_returns={value!r} is not valid. The keyword 'num_returns' only accepts None, a non-negative "
                "integer, 'streaming' or 'dynamic' (both for generator functions)"
            )
        return _CODES[value]
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise TypeError(
            "The type of keyword 'num_returns' must be int, 'streaming', 'dynamic' or None, but received type "
            f"{kind(value)}"
        )
    if value is not None and value < 0:
        raise ValueError(
            f"num_returns must be >= 0, but got {value}. The keyword 'num_returns' only accepts None, a non-negative "
            "integer, 'streaming' or 'dynamic' (both for generator functions)"
        )
    if value is not None and value > MAX_RETURNS:
        raise ValueError(
            f"num_returns={value} is more than one call may return, {MAX_RETURNS}. Return a list, or yield the values "
            "with num_returns='streaming'"
        )
    return value


def check_generates(num_returns: int | None, generates: bool, label: str) -> None:
    """Check that `num_returns` is STREAMING or DYNAMIC for generator functions only.

    Args:
        num_returns: A result of `num_returns_of`.
        generates: Whether the function is a generator function.
        label: The function's name, for the error.

    Raises:
        ValueError: `num_returns` is STREAMING or DYNAMIC, and the function is not a generator function.
    """
    for word, code in _CODES.items():
        if num_returns == code and not generates:
            raise ValueError(
                f"num_returns='{word}' can only be used with generator functions (functions that use 'yield'). "
                f"{label} is not a generator function"
            )
