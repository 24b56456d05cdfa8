"""The options of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nbactors.options.checks import (
    UNLIMITED,
    check_bool,
    check_count,
    check_limit,
    check_seconds,
    check_text,
    kind,
    refuse_unknown,
    refuse_unserved,
)
from nbactors.options.init_options import _NOTHING
from nbactors.options.num_returns import STREAMING, check_generates, num_returns_of
from nbactors.options.served import BACKPRESSURE, FOR_TASKS, LATER_FOR_TASKS, amounts, held_options
from nbactors.runtime_env import RuntimeEnv


class TaskOptions(NamedTuple):
    """How a task is run.

    Attributes:
        num_cpus, num_gpus, memory, resources: What it holds while it runs; memory in bytes.
        num_returns: How many references a call gives; or STREAMING, or DYNAMIC.
        backpressure: How many objects that it yields may wait for their reader; UNLIMITED by default.
        timeout_s: Seconds in which a call must end; None for no limit.
        max_retries: How often it is run again when its worker crashes; -1 for ever.
        retry_exceptions: Whether it is also run again when it raises, or for which exceptions.
        name: For listings and process titles; None for the function's own.
        scheduling_strategy: "DEFAULT", "SPREAD", a NodeAffinitySchedulingStrategy or None.
        given: What the user gave, for `merged`.
    """

    num_cpus: float = 1
    num_gpus: float = 0
    memory: float | None = None
    resources: Mapping[str, float] = _NOTHING
    num_returns: int = 1
    backpressure: int = UNLIMITED
    timeout_s: float | None = None
    max_retries: int = 3
    retry_exceptions: bool | tuple[type[BaseException], ...] = False
    name: str | None = None
    runtime_env: RuntimeEnv | None = None
    scheduling_strategy: Any = None
    given: Mapping[str, Any] = _NOTHING

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, generates: bool = False, label: str = "The function") -> TaskOptions:
        """Check what stands in `remote(...)` over a function.

        Args:
            given: The options.
            generates: Whether it is a generator function, whose results stream by default.
            label: The function, for errors.

        Raises:
            TypeError, ValueError: As `ActorOptions.parse`.
        """
        refuse_unknown(given, FOR_TASKS, LATER_FOR_TASKS, "remote functions")
        if given.get("object_store_memory") is not None:
            raise ValueError("Setting 'object_store_memory' is not implemented for tasks")
        check_count(given, "max_calls", 0)
        refuse_unserved(given, LATER_FOR_TASKS)
        check_bool(given, "enable_task_events")
        held = held_options(given)
        held["num_cpus"] = 1 if held["num_cpus"] is None else held["num_cpus"]
        held["num_gpus"] = held["num_gpus"] or 0
        max_retries = check_count(given, "max_retries", -1)
        num_returns = num_returns_of(given)
        check_generates(num_returns, generates, label)
        if num_returns is None:
            num_returns = STREAMING if generates else 1
        return cls(
            num_returns=num_returns,
            backpressure=check_limit(given, BACKPRESSURE),
            timeout_s=check_seconds(given, "timeout_s"),
            max_retries=3 if max_retries is None else max_retries,
            retry_exceptions=_retry_exceptions(given.get("retry_exceptions", False)),
            name=check_text(given, "name"),
            given=dict(given),
            **held,
        )

    def merged(
        self, updates: Mapping[str, Any], *, generates: bool = False, label: str = "The function"
    ) -> TaskOptions:
        """Return these options with those of `.options(...)` over them, all checked again. Arguments as of `parse`.

        Raises:
            TypeError, ValueError: As `ActorOptions.parse`.
        """
        if "max_calls" in updates:
            raise ValueError("Setting 'max_calls' is not supported in '.options()'. Give it to remote().")
        return TaskOptions.parse({**self.given, **updates}, generates=generates, label=label)

    def held(self) -> dict[str, float]:
        """Return what it holds while it runs. Zero amounts are left out."""
        return amounts(self.num_cpus, self.num_gpus, self.memory, self.resources)


def _retry_exceptions(value: Any) -> bool | tuple[type[BaseException], ...]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple):
        raise TypeError(
            f"The type of keyword 'retry_exceptions' must be bool, list or tuple, but received type {kind(value)}"
        )
    if not all(isinstance(item, type) and issubclass(item, Exception) for item in value):
        raise ValueError(f"retry_exceptions must be either a boolean or a list of exceptions. Got: {value!r}")
    return tuple(value)
