"""Checks that several options share, with a precise error for each mistake.

The checks take all given options, and the name of the option to check. An option that is not given, or is None, has
its default.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from nbactors import byte_sizes
from nbactors.limits import MAX_AMOUNT, MAX_COUNT, MAX_KINDS, MAX_NAME

_SMALLEST_AMOUNT = 0.0001

UNLIMITED = -1
"""Stands for no limit of pending calls, or of yielded objects that wait for their reader."""


def kind(value: Any) -> str:
    """Return a value's type and the value in short, for an error message."""
    return f"{type(value).__name__}: {value!r:.80}"


def refuse_unknown(given: Mapping[str, Any], served: Iterable[str], unserved: Iterable[str], what: str) -> None:
    """Refuse options that neither nbactors nor Ray has.

    Raises:
        ValueError: There is such an option; the message lists the served options.
    """
    valid = sorted(served)
    for name in given:
        if name not in valid and name not in unserved:
            raise ValueError(f"Invalid option keyword {name} for {what}.{closest(name, valid)} Valid ones are {valid}")


def refuse_unserved(given: Mapping[str, Any], unserved: Mapping[str, tuple[Any, ...]]) -> None:
    """Refuse options of Ray that this version does not serve, unless their value has no effect in Ray.

    Raises:
        ValueError: There is such an option.
    """
    for name, value in given.items():
        neutral = unserved.get(name)
        # The types are compared, too, since False == 0 and True == 1.
        if neutral is not None and not any(type(value) is type(item) and value == item for item in neutral):
            raise ValueError(
                f"The option {name}={value!r:.80} is not served by this version of nbactors yet. Leave it out"
                + (f", or give its default: {neutral[-1]!r}" if neutral else "")
            )


def closest(name: str, valid: Iterable[str]) -> str:
    """Return the sentence " Did you mean ...?" with the most similar valid name; empty if none is similar."""
    import difflib  # noqa: PLC0415 - only error messages need it

    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.7)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def check_retried(given: Mapping[str, Any]) -> bool | tuple[type[BaseException], ...] | None:
    """Return the value of `retry_exceptions`.

    Raises:
        TypeError: The value is no bool, list or tuple.
        ValueError: The list holds something else than exception classes.
    """
    value = given.get("retry_exceptions")
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple):
        raise TypeError(
            f"The type of keyword 'retry_exceptions' must be bool, list or tuple, but received type {kind(value)}"
        )
    if not all(isinstance(item, type) and issubclass(item, Exception) for item in value):
        raise ValueError(f"retry_exceptions must be either a boolean or a list of exceptions. Got: {value!r}")
    return tuple(value)


def check_count(given: Mapping[str, Any], name: str, least: int) -> int | None:
    """Return the value of an option that is a number of things. If `least` is -1, the value -1 means no limit.

    Raises:
        TypeError: The value is not an integer.
        ValueError: The value is less than `least`, or more than `MAX_COUNT`.
    """
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"The type of keyword '{name}' must be int or None, but received type {kind(value)}")
    if value < least:
        allowed = (
            "None, 0, -1 or a positive integer, where -1 represents infinity"
            if least
            else "None, 0 or a positive integer"
        )
        raise ValueError(f"The keyword '{name}' only accepts {allowed}. Got: {value}")
    _check_size(f"The keyword '{name}'", value)
    return value


def check_limit(given: Mapping[str, Any], name: str) -> int:
    """Return the value of an option that limits how far a generator runs ahead; UNLIMITED if it is not given.

    Raises:
        TypeError: The value is not an integer.
        ValueError: The value is neither positive nor -1, or more than `MAX_COUNT`.
    """
    value = given.get(name)
    if value is None:
        return UNLIMITED
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"The type of keyword '{name}' must be int or None, but received type {kind(value)}")
    if value < 1 and value != UNLIMITED:
        raise ValueError(
            f"{name}={value} is not allowed. Use a value > 0, where 1 makes each value only when it is asked for, as a "
            "generator of Python does; or -1 for no limit"
        )
    _check_size(name, value)
    return value


def check_bytes(given: Mapping[str, Any], name: str) -> int | None:
    """Return the value of an option that is a number of bytes, which may be a text such as "2GiB".

    Raises:
        TypeError: The value is neither a number nor a text.
        ValueError: The value is no whole number, not positive or too large, or the text names no number of bytes.
    """
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = byte_sizes.parse(value)
        except ValueError as error:
            raise ValueError(f"The keyword '{name}': {error}") from None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(
            f"The type of keyword '{name}' must be int (bytes), str ('2GiB') or None, but received type {kind(value)}"
        )
    if not 1 <= value <= MAX_AMOUNT:  # also true for nan
        raise ValueError(
            f"The keyword '{name}' must be a positive number of bytes, {MAX_AMOUNT:.0e} at most. Got: {value}"
        )
    if value != int(value):  # 2e9 is a whole number, while 1.5 is most likely meant as gibibytes
        raise ValueError(
            f"The keyword '{name}' must be a whole number of bytes. Got: {value}, write for instance '1.5GiB'"
        )
    return int(value)


def check_group_sizes(given: Mapping[str, Any]) -> dict[str, int]:
    """Return the option `concurrency_groups`: the number of concurrent calls of each group.

    Raises:
        TypeError: The value is not a dict from names to integers.
        ValueError: A name is empty, or a size is less than 1 or more than `MAX_COUNT`.
    """
    value = given.get("concurrency_groups")
    if value is None or value == []:  # Ray accepts an empty list
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(
            "The type of keyword 'concurrency_groups' must be dict or None, for example {'io': 2}, but received type "
            f"{kind(value)}"
        )
    for group, size in value.items():
        if not isinstance(group, str):
            raise TypeError(f"The names in 'concurrency_groups' must be str, but received type {kind(group)}")
        if not group:
            raise ValueError("The names in 'concurrency_groups' must not be empty: the default group has no name")
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(
                f"The size of the concurrency group {group!r} must be int: how many of its calls run at once. Received "
                f"type {kind(size)}"
            )
        if size < 1:
            raise ValueError(f"The size of the concurrency group {group!r} must be at least 1. Got: {size}")
        _check_size(f"The size of the concurrency group {group!r:.80}", size)
    return dict(value)


def _check_size(what: str, value: int) -> None:
    if value > MAX_COUNT:
        raise ValueError(f"{what} must be at most {MAX_COUNT} (2**31 - 1)")


def check_seconds(given: Mapping[str, Any], name: str) -> float | None:
    """Return the value of an option that is a number of seconds.

    Raises:
        TypeError: The value is not a number.
        ValueError: The value is not positive, or not finite.
    """
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"The keyword '{name}' must be a number of seconds or None, but received type {kind(value)}")
    if not 0 < value < math.inf:
        raise ValueError(
            f"The keyword '{name}' must be a positive number of seconds, or None for no limit. Got: {value}"
        )
    return float(value)


def check_bool(given: Mapping[str, Any], name: str) -> None:
    """Check an option that must be a bool.

    Raises:
        TypeError: The option is given, and is not a bool.
    """
    if name in given and not isinstance(given[name], bool):
        raise TypeError(f"The type of keyword '{name}' must be bool, but received type {kind(given[name])}")


def check_text(given: Mapping[str, Any], name: str, *, blank_allowed: bool = True) -> str | None:
    """Return the value of an option that is text.

    Raises:
        TypeError: The value is neither a str nor None.
        ValueError: The value has more than `MAX_NAME` characters, or is blank although `blank_allowed` is False.
    """
    value = given.get(name)
    if isinstance(value, str) and len(value) > MAX_NAME:
        raise ValueError(f"The keyword '{name}' must have at most {MAX_NAME} characters. Got: {len(value)}")
    if value is None or (isinstance(value, str) and (blank_allowed or value.strip())):
        return value
    if isinstance(value, str):
        if name == "namespace":
            raise ValueError(f'"{value}" is not a valid namespace. Pass None to not specify a namespace.')
        raise ValueError("Actor name cannot be an empty string, nor blank. Pass None for an actor without a name.")
    subject = "namespace must be None or a string. " if name == "namespace" else ""
    raise TypeError(f"{subject}The type of keyword '{name}' must be str or None, but received type {kind(value)}")


def quantity(given: Mapping[str, Any], name: str) -> float | None:
    """Return the value of an option that is an amount of a resource.

    Raises:
        TypeError: The value is not a number.
        ValueError: The value is negative, infinite, NaN, more than `MAX_AMOUNT`, or between 0 and 0.0001.
    """
    value = given.get(name)
    return None if value is None else _amount(name, value)


def resource_map(given: Mapping[str, Any]) -> dict[str, float]:
    """Return the option `resources`: the amount of each custom resource.

    Raises:
        TypeError: The value is not a dict from names to numbers.
        ValueError: An amount is out of range, or a name is that of a resource with its own option, such as CPU.
    """
    value = given.get("resources")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"The type of keyword 'resources' must be dict or None, but received type {kind(value)}")
    for name in value:
        if not isinstance(name, str) or not name:
            raise TypeError(f"The names in 'resources' must be non-empty strings, but received {kind(name)}")
        if len(name) > MAX_NAME:
            raise ValueError(f"A name in 'resources' must have at most {MAX_NAME} characters. Got: {len(name)}")
    if len(value) > MAX_KINDS:
        raise ValueError(f"The keyword 'resources' takes at most {MAX_KINDS} resources. Got: {len(value)}")
    if "CPU" in value or "GPU" in value:
        raise ValueError(
            "Use the 'num_cpus' and 'num_gpus' keyword instead of 'CPU' and 'GPU' in 'resources' keyword: CPU and GPU "
            "cannot be a custom resource"
        )
    if "memory" in value or "object_store_memory" in value:
        raise ValueError("Use the 'memory' keyword instead: memory cannot be a custom resource in 'resources'")
    return {name: _amount(name, amount) for name, amount in value.items()}


def _amount(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"The type of keyword '{name}' must be float, int or None, but received type {kind(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"The quantity of resource {name} must be finite. Got: {value}")
    if value < 0:
        raise ValueError(f"The quantity of resource {name} cannot be negative. It must be nonnegative. Got: {value}")
    if value > MAX_AMOUNT:
        got = f"{value:g}" if value < 1e300 else "a number of more than 300 digits"
        raise ValueError(f"The quantity of resource {name} cannot be more than {MAX_AMOUNT:.0e}. Got: {got}")
    if 0 < value < _SMALLEST_AMOUNT:
        raise ValueError(f"The precision of the fractional quantity of resource {name} cannot go beyond 0.0001")
    return value


_STRATEGIES = (
    "NodeAffinitySchedulingStrategy",
    "NodeLabelSchedulingStrategy",
    "PlacementGroupSchedulingStrategy",
)


def strategy(value: Any) -> Any:
    """Return the value of the option `scheduling_strategy`, if it makes sense on one machine.

    Raises:
        TypeError: The value is not a strategy.
        ValueError: The strategy is not served.
    """
    # The check is by the class's name, since this module may not import `nbactors.util`, a higher room.
    if value is None or type(value).__name__ in _STRATEGIES:
        return value
    valid = f"'DEFAULT', 'SPREAD', or an object of {', '.join(_STRATEGIES)}"
    if not isinstance(value, str):
        raise TypeError(
            f"The type of keyword 'scheduling_strategy' must be None, {valid}, but received type {kind(value)}"
        )
    if value not in ("DEFAULT", "SPREAD"):
        raise ValueError(f"scheduling_strategy must be None, {valid}. Got: {value!r}")
    return value
