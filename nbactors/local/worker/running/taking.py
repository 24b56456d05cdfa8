"""The values of a generator as the results of a call that has a fixed number of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from nbactors.frontend.user_code import lets_through


class Taken(NamedTuple):
    """What a generator has yielded for a call with a fixed number of results.

    Attributes:
        values: The values, as many as the call has results at most.
        error: What it has raised, or how it has yielded too few or too many; None if nothing is wrong.
    """

    values: list[Any]
    error: Exception | None


@lets_through
def take(values: Iterator[Any], count: int) -> Taken:
    """Return the values of a generator as the results of a call with `count` of them.

    As in Ray, the values before an error are results all the same. An exception that is no `Exception`, such as an
    interrupt, is raised. The generator is closed after the first value too many.
    """
    taken: list[Any] = []
    error: Exception | None = None
    try:
        for value in values:
            if len(taken) == count:
                error = _too_many(count)
                break
            taken.append(value)
    except Exception as raised:  # noqa: BLE001 - an exception of user code is a part of the call's answer
        error = raised
    finally:
        close(values)
    return Taken(taken, error or _too_few(taken, count))


async def take_async(values: Any, count: int) -> Taken:
    """Do what `take` does, for an asynchronous generator."""
    taken: list[Any] = []
    error: Exception | None = None
    try:
        if count > 0:
            async for value in values:
                if len(taken) == count:
                    error = _too_many(count)
                    break
                taken.append(value)
    except Exception as raised:  # noqa: BLE001 - as above
        error = raised
    finally:
        await values.aclose()
    return Taken(taken, error or _too_few(taken, count))


def _too_many(count: int) -> ValueError:
    return ValueError(f"Task returned more than num_returns={count} objects.")


def _too_few(taken: list[Any], count: int) -> ValueError | None:
    if len(taken) == count:
        return None
    return ValueError(f"Task returned {len(taken)} objects, but num_returns={count}.")


def close(values: Any) -> None:
    """Close a generator; another iterator may have nothing to close."""
    method = getattr(values, "close", None)
    if method is not None:
        method()
