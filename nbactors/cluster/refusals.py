"""Errors of values that Ray cannot pickle: which value it is, and which part of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import ray
from ray import cloudpickle

from nbactors import exceptions
from nbactors.cluster.object_records import BoundError
from nbactors.cluster.translation import translated
from nbactors.definitions.diagnosis import refusal


@contextmanager
def sending(values: Iterable[Any], method: str = "") -> Iterator[None]:
    """Raise Ray's errors as those of nbactors. One of a value that cannot be pickled names the part at fault.

    Args:
        values: What Ray pickles within the `with` block.
        method: The user's method that is called within it: Ray knows the host's only.

    Raises:
        TypeError: One of the values cannot be pickled.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - users' __reduce__ and __getstate__ may raise anything
        refuse(error, values, method)


def refuse(error: Exception, values: Iterable[Any], method: str = "") -> NoReturn:
    """Raise the error of nbactors for an error that Ray has raised while it pickled values. See `sending`."""
    if isinstance(error, ray.exceptions.PendingCallsLimitExceeded):
        text = re.sub(r"The task \w+ could", f"The task {method} could", str(translated(error)), count=1)
        raise exceptions.PendingCallsLimitExceeded(text) from None
    if isinstance(error, ray.exceptions.RayError):
        raise translated(error) from None
    for value in values:
        reason = error_of(value)
        if isinstance(reason, BoundError):
            raise reason from None
        if reason is not None:
            raise refusal(value, reason, error_of)
    raise error


def error_of(value: Any) -> Exception | None:
    """Return the error of pickling a value, None if it can be pickled."""
    try:
        cloudpickle.dumps(value, protocol=5, buffer_callback=_out_of_band)
    except Exception as error:  # noqa: BLE001 - users' __reduce__ and __getstate__ may raise anything
        return error
    return None


def _out_of_band(buffer: Any) -> bool:
    del buffer
    return False
