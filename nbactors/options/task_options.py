"""The options of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nbactors.options.checks import (
    UNLIMITED,
    check_bool,
    check_count,
    check_limit,
    check_retried,
    check_seconds,
    check_text,
    refuse_unknown,
    refuse_unserved,
)
from nbactors.options.init_options import _NOTHING
from nbactors.options.labels import Selector
from nbactors.options.num_returns import STREAMING, check_generates, num_returns_of
from nbactors.options.served import BACKPRESSURE, FOR_TASKS, UNSERVED_FOR_TASKS, amounts, shared_options
from nbactors.runtime_env.worker_setup import WorkerSetup


class TaskOptions(NamedTuple):
    """The checked options of a task.

    Attributes:
        num_cpus, num_gpus, memory, resources: Amounts that the task holds while it runs; memory in bytes.
        memory_limit: Bytes of its own that the process may use while the task runs; None for no limit.
        num_returns: Number of returned objects, STREAMING or DYNAMIC.
        backpressure: Limit of yielded objects that wait for their reader; UNLIMITED by default.
        max_calls: How often a worker may run the function before it exits; 0 for no limit. By default 1 with GPUs.
        timeout_s: Seconds from the submission until the task must have ended; None for no limit.
        max_retries: Limit of new runs after crashes of the worker; -1 for no limit.
        retry_exceptions: Whether an error of the task leads to a new run, too, or the types of such errors.
        name: The task's name in listings and process titles; None for the function's name.
        scheduling_strategy: "DEFAULT", "SPREAD", an object of `util.scheduling_strategies` or None.
        selectors: Demands on the node's labels, of which one must be fulfilled; empty for none.
        enable_task_events: Whether the task has task events.
        given: The user's options, for `merged`.
    """

    num_cpus: float = 1
    num_gpus: float = 0
    memory: float | None = None
    memory_limit: int | None = None
    resources: Mapping[str, float] = _NOTHING
    num_returns: int = 1
    backpressure: int = UNLIMITED
    max_calls: int = 0
    timeout_s: float | None = None
    max_retries: int = 3
    retry_exceptions: bool | tuple[type[BaseException], ...] = False
    name: str | None = None
    runtime_env: WorkerSetup | None = None
    scheduling_strategy: Any = None
    selectors: tuple[Selector, ...] = ()
    enable_task_events: bool = True
    given: Mapping[str, Any] = _NOTHING

    @classmethod
    def parse(cls, given: Mapping[str, Any], *, generates: bool = False, label: str = "The function") -> TaskOptions:
        """Check the options of `remote(...)` over a function.

        Args:
            given: The options.
            generates: Whether the function is a generator function, whose values stream by default.
            label: The function's name, for errors.

        Raises:
            TypeError, ValueError: See `ActorOptions.parse`.
        """
        refuse_unknown(given, FOR_TASKS, UNSERVED_FOR_TASKS, "remote functions")
        if given.get("object_store_memory") is not None:
            raise ValueError("Setting 'object_store_memory' is not implemented for tasks")
        max_calls = check_count(given, "max_calls", 0)
        refuse_unserved(given, UNSERVED_FOR_TASKS)
        check_bool(given, "enable_task_events")
        held = shared_options(given)
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
            # As in Ray: libraries give the memory of a GPU back with their process only.
            max_calls=int(held["num_gpus"] > 0) if max_calls is None else max_calls,
            timeout_s=check_seconds(given, "timeout_s"),
            max_retries=3 if max_retries is None else max_retries,
            retry_exceptions=check_retried(given) or False,
            name=check_text(given, "name"),
            enable_task_events=given.get("enable_task_events", True),
            given=dict(given),
            **held,
        )

    def merged(
        self, updates: Mapping[str, Any], *, generates: bool = False, label: str = "The function"
    ) -> TaskOptions:
        """Return these options with those of `.options(...)` in place of the present ones. Arguments: see `parse`.

        Raises:
            TypeError, ValueError: See `ActorOptions.parse`.
        """
        if "max_calls" in updates:
            raise ValueError("Setting 'max_calls' is not supported in '.options()'. Give it to remote().")
        merged = TaskOptions.parse({**self.given, **updates}, generates=generates, label=label)
        return merged._replace(max_calls=self.max_calls)  # a property of the function, also with another `num_gpus`

    def held(self) -> dict[str, float]:
        """Return the resources that the task holds while it runs, without amounts of 0."""
        return amounts(self.num_cpus, self.num_gpus, self.memory, self.resources)
