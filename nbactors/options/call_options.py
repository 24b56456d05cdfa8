"""The options of a call of an actor's method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nbactors.options.checks import (
    check_bool,
    check_count,
    check_limit,
    check_retried,
    check_seconds,
    check_text,
    refuse_unserved,
)
from nbactors.options.labels import check_labels
from nbactors.options.num_returns import num_returns_of
from nbactors.options.served import BACKPRESSURE, FOR_CALLS, FOR_METHODS, UNSERVED_FOR_CALLS


class CallOptions(NamedTuple):
    """The checked options of `handle.method.options(...)`, or of `@method(...)`. None means that it was not given.

    Attributes:
        num_returns: Number of returned objects, STREAMING or DYNAMIC.
        name: The call's name in listings.
        concurrency_group: Name of the group that runs the call.
        timeout_s: Seconds from the submission until the call must have ended.
        backpressure: Limit of yielded objects that wait for their reader.
        max_task_retries: How often the call is run again after a crash of the actor; -1 for any number.
        retry_exceptions: Whether an error of the call leads to a new run, too, or the types of such errors.
        enable_task_events: Whether the call has task events.
    """

    num_returns: int | None = None
    name: str | None = None
    concurrency_group: str | None = None
    timeout_s: float | None = None
    backpressure: int | None = None
    max_task_retries: int | None = None
    retry_exceptions: bool | tuple[type[BaseException], ...] | None = None
    enable_task_events: bool | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> CallOptions:
        """Check the options of `handle.method.options(...)`.

        Raises:
            TypeError: An option is unknown, or a value has a wrong type.
            ValueError: A value is not allowed, or this version does not serve the option.
        """
        for option in given:
            if option not in FOR_CALLS and option not in UNSERVED_FOR_CALLS:
                raise TypeError(
                    f"ActorMethod.options() got an unexpected keyword argument {option!r}. "
                    f"Valid ones are {sorted(FOR_CALLS)}"
                )
        refuse_unserved(given, UNSERVED_FOR_CALLS)
        check_labels(given, "_labels")
        if given.get("enable_task_events") is not None:
            check_bool(given, "enable_task_events")
        return cls(
            num_returns=num_returns_of(given),
            name=check_text(given, "name") or None,
            concurrency_group=check_text(given, "concurrency_group") or None,
            timeout_s=check_seconds(given, "timeout_s"),
            backpressure=None if given.get(BACKPRESSURE) is None else check_limit(given, BACKPRESSURE),
            max_task_retries=check_count(given, "max_task_retries", -1),
            retry_exceptions=check_retried(given),
            enable_task_events=given.get("enable_task_events"),
        )

    @classmethod
    def parse_method(cls, given: Mapping[str, Any]) -> CallOptions:
        """Check the options of `@method(...)`.

        Raises:
            AssertionError: An option is unknown (as in Ray).
            TypeError, ValueError: See `parse`.
        """
        for option in given:
            if option not in FOR_METHODS and option not in UNSERVED_FOR_CALLS:
                raise AssertionError(
                    f"Unexpected keyword argument to @method: {option!r}. The supported keyword arguments are "
                    f"{sorted(FOR_METHODS)}"
                )
        return cls.parse(given)
