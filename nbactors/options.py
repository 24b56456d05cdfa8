"""Every option of `init`, actors, remote functions and their calls: validated once, into frozen objects.

Checked where the user writes it: at decoration, at `.options()`, at `init()`. The types of errors are Ray's: TypeError
for a wrong type, ValueError for a wrong value or an unknown keyword, RuntimeError for an unknown keyword of `init`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from nbactors import notebook
from nbactors.limits import MAX_GPUS, MAX_SECONDS
from nbactors.num_returns import STREAMING, check_generates, num_returns_of
from nbactors.option_checks import (
    UNLIMITED,
    check_bool,
    check_count,
    check_group_sizes,
    check_limit,
    check_seconds,
    check_text,
    kind,
    quantity,
    refuse_unknown,
    refuse_unserved,
    resource_map,
    strategy,
)
from nbactors.runtime_env import RuntimeEnv

__all__ = ["ActorOptions", "CallOptions", "InitOptions", "RuntimeEnv", "TaskOptions"]

_HOLDING = ("num_cpus", "num_gpus", "memory", "resources", "runtime_env", "scheduling_strategy", "name")

# Options of Ray that this version does not serve, and the values with which they ask for nothing.
_LATER_FOR_ALL: dict[str, tuple[Any, ...]] = {
    "accelerator_type": (None,),
    "fallback_strategy": (None, []),
    "label_selector": (None, {}),
    "object_store_memory": (None,),
    "placement_group": (None, "default"),
    "placement_group_bundle_index": (-1,),
    "placement_group_capture_child_tasks": (None, False),
    "_labels": (None, {}),
}
_LATER_FOR_ACTORS: dict[str, tuple[Any, ...]] = {
    **_LATER_FOR_ALL,
    "enable_tensor_transport": (None, False),
    "max_restarts": (None, 0),
    "max_task_retries": (None, 0),
    "_actor_generator_backpressure_num_objects": (None, -1),
}
_LATER_FOR_TASKS: dict[str, tuple[Any, ...]] = {
    **_LATER_FOR_ALL,
    "max_calls": (None, 0),
    "_num_objects_per_yield": (None, 1),
}
_LATER_FOR_CALLS: dict[str, tuple[Any, ...]] = {
    "max_task_retries": (None, 0),
    "retry_exceptions": (None, False),
    "tensor_transport": (None,),
    "_num_objects_per_yield": (None, 1),
    "_labels": (None, {}),
}
_BACKPRESSURE = "_generator_backpressure_num_objects"

_FOR_ACTORS = (
    *_HOLDING,
    "namespace",
    "lifetime",
    "get_if_exists",
    "max_concurrency",
    "concurrency_groups",
    "max_pending_calls",
    "allow_out_of_order_execution",
    "enable_task_events",
)
_FOR_TASKS = (
    *_HOLDING,
    "num_returns",
    "max_retries",
    "retry_exceptions",
    "timeout_s",
    "enable_task_events",
    _BACKPRESSURE,
)
_FOR_METHODS = ("num_returns", "concurrency_group", "enable_task_events", _BACKPRESSURE)
_FOR_CALLS = (*_FOR_METHODS, "name", "timeout_s")


_NOTHING: Mapping[str, Any] = {}


class ActorOptions(NamedTuple):
    """How an actor is placed, named and kept.

    Attributes:
        name: None for an unnamed actor.
        namespace: None for the session's.
        get_if_exists: Take the living actor of that name, if there is one.
        detached: It outlives the session.
        num_cpus, num_gpus: None where not given, which is not the same as 0: see `placement`.
        memory: Bytes.
        resources: Custom ones.
        scheduling_strategy: "DEFAULT", "SPREAD", a NodeAffinitySchedulingStrategy or None.
        max_concurrency: How many calls outside groups run at once; None for the default, which depends on the class.
        concurrency_groups: The same for each group, by its name.
        max_pending_calls: How many calls of one process may be under way; UNLIMITED by default.
        allow_out_of_order_execution: None where the class and max_concurrency decide.
        given: What the user gave, for `merged`.
    """

    name: str | None = None
    namespace: str | None = None
    get_if_exists: bool = False
    detached: bool = False
    num_cpus: float | None = None
    num_gpus: float | None = None
    memory: float | None = None
    resources: Mapping[str, float] = _NOTHING
    runtime_env: RuntimeEnv | None = None
    scheduling_strategy: Any = None
    max_concurrency: int | None = None
    concurrency_groups: Mapping[str, int] = _NOTHING
    max_pending_calls: int = UNLIMITED
    allow_out_of_order_execution: bool | None = None
    given: Mapping[str, Any] = _NOTHING

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> ActorOptions:
        """Check what stands in `remote(...)` over a class.

        Raises:
            TypeError: A value of a wrong type.
            ValueError: A wrong value, an unknown option, or one that this version does not serve.
        """
        refuse_unknown(given, _FOR_ACTORS, _LATER_FOR_ACTORS, "actors")
        check_count(given, "max_restarts", -1)
        check_count(given, "max_task_retries", -1)
        check_limit(given, "_actor_generator_backpressure_num_objects")
        refuse_unserved(given, _LATER_FOR_ACTORS)
        check_bool(given, "enable_task_events")
        check_bool(given, "get_if_exists")
        name = check_text(given, "name", blank_allowed=False)
        if given.get("get_if_exists") and name is None:
            raise ValueError(
                "The actor name must be specified to use `get_if_exists`. For example: "
                "Counter.options(name='counter', get_if_exists=True).remote()"
            )
        return cls(
            name=name,
            namespace=check_text(given, "namespace", blank_allowed=False),
            get_if_exists=given.get("get_if_exists", False),
            detached=_is_detached(given.get("lifetime")),
            max_concurrency=check_count(given, "max_concurrency", 0) or None,  # 0 is Ray's other way to not give it
            concurrency_groups=check_group_sizes(given),
            max_pending_calls=check_count(given, "max_pending_calls", -1) or UNLIMITED,  # 0 limits nothing in Ray
            allow_out_of_order_execution=_out_of_order(given),
            given=dict(given),
            **_held_options(given),
        )

    def merged(self, updates: Mapping[str, Any]) -> ActorOptions:
        """Return these options with those of `.options(...)` over them, all checked again.

        Raises:
            TypeError, ValueError: As `parse`.
        """
        if "concurrency_groups" in updates:
            raise ValueError("Setting 'concurrency_groups' is not supported in '.options()'. Give it to remote().")
        return ActorOptions.parse({**self.given, **updates})

    def held(self) -> dict[str, float]:
        """Return what it holds for life. Zero amounts are left out.

        As in Ray: 0 CPUs where no resource was asked for; 1 CPU where only others were.
        """
        cpus = (1.0 if self._asks() else 0.0) if self.num_cpus is None else self.num_cpus
        return _amounts(cpus, self.num_gpus, self.memory, self.resources)

    def placement(self) -> dict[str, float]:
        """Return what must be free for it to be placed: what it holds, or 1 CPU if no resource was asked for."""
        return self.held() if self._asks() else {"CPU": 1.0, **self.held()}

    def _asks(self) -> bool:
        return self.num_cpus is not None or self.num_gpus is not None or bool(self.resources)


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
        refuse_unknown(given, _FOR_TASKS, _LATER_FOR_TASKS, "remote functions")
        if given.get("object_store_memory") is not None:
            raise ValueError("Setting 'object_store_memory' is not implemented for tasks")
        check_count(given, "max_calls", 0)
        refuse_unserved(given, _LATER_FOR_TASKS)
        check_bool(given, "enable_task_events")
        held = _held_options(given)
        held["num_cpus"] = 1 if held["num_cpus"] is None else held["num_cpus"]
        held["num_gpus"] = held["num_gpus"] or 0
        max_retries = check_count(given, "max_retries", -1)
        num_returns = num_returns_of(given)
        check_generates(num_returns, generates, label)
        if num_returns is None:
            num_returns = STREAMING if generates else 1
        return cls(
            num_returns=num_returns,
            backpressure=check_limit(given, _BACKPRESSURE),
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
        return _amounts(self.num_cpus, self.num_gpus, self.memory, self.resources)


class CallOptions(NamedTuple):
    """What `handle.method.options(...)` says of one call, or `@method(...)` of all; None where it says nothing.

    Attributes:
        num_returns: A number, STREAMING or DYNAMIC.
        name: Of the call, in listings.
        concurrency_group: By its name.
        timeout_s: Seconds in which the call must end, from its submission on.
        backpressure: How many yielded objects may wait for their reader.
    """

    num_returns: int | None = None
    name: str | None = None
    concurrency_group: str | None = None
    timeout_s: float | None = None
    backpressure: int | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> CallOptions:
        """Check what stands in `handle.method.options(...)`.

        Raises:
            TypeError: An unknown option or a value of a wrong type.
            ValueError: A wrong value, or an option that this version does not serve.
        """
        for option in given:
            if option not in _FOR_CALLS and option not in _LATER_FOR_CALLS:
                raise TypeError(
                    f"ActorMethod.options() got an unexpected keyword argument {option!r}. "
                    f"Valid ones are {sorted(_FOR_CALLS)}"
                )
        check_count(given, "max_task_retries", -1)
        refuse_unserved(given, _LATER_FOR_CALLS)
        if given.get("enable_task_events") is not None:
            check_bool(given, "enable_task_events")
        return cls(
            num_returns=num_returns_of(given),
            name=check_text(given, "name") or None,
            concurrency_group=check_text(given, "concurrency_group") or None,
            timeout_s=check_seconds(given, "timeout_s"),
            backpressure=None if given.get(_BACKPRESSURE) is None else check_limit(given, _BACKPRESSURE),
        )

    @classmethod
    def parse_method(cls, given: Mapping[str, Any]) -> CallOptions:
        """Check what stands in `@method(...)`.

        Raises:
            AssertionError: An unknown option (as in Ray).
            TypeError, ValueError: As `parse`.
        """
        for option in given:
            if option not in _FOR_METHODS and option not in _LATER_FOR_CALLS:
                raise AssertionError(
                    f"Unexpected keyword argument to @method: {option!r}. The supported keyword arguments are "
                    f"{sorted(_FOR_METHODS)}"
                )
        return cls.parse(given)


class InitOptions(NamedTuple):
    """How a session is opened.

    Attributes:
        namespace: None for the default one, see `namespace_or_default`.
        num_cpus, num_gpus, memory, object_store_memory: None to detect; the last two in bytes.
        resources: Custom ones.
        log_to_driver: Whether what workers print appears in the session.
        log_prefix: Whether each of these lines says whose it is.
        graceful_shutdown_s: Seconds that an actor may take to end gracefully.
        runtime_env: Of all its actors and tasks that name none.
        on_interrupt: None for the default one, see `cancels_on_interrupt`.
    """

    namespace: str | None = None
    num_cpus: float | None = None
    num_gpus: float | None = None
    resources: Mapping[str, float] = _NOTHING
    memory: int | None = None
    object_store_memory: int | None = None
    log_to_driver: bool = True
    log_prefix: bool = True
    graceful_shutdown_s: float = 30.0
    runtime_env: RuntimeEnv | None = None
    on_interrupt: str | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> InitOptions:
        """Check what `init` was given: the fields of this class, where None stands for the default.

        Raises:
            TypeError, ValueError: As `ActorOptions.parse`.
        """
        seconds, num_gpus = quantity(given, "graceful_shutdown_s"), quantity(given, "num_gpus")
        if seconds is not None and seconds > MAX_SECONDS:
            raise ValueError(f"graceful_shutdown_s cannot be more than {MAX_SECONDS:.0f} (a week). Got: {seconds}")
        if num_gpus is not None and num_gpus > MAX_GPUS:
            raise ValueError(f"num_gpus of a session cannot be more than {MAX_GPUS}. Got: {num_gpus}")
        for name in ("log_to_driver", "log_prefix"):
            if given.get(name) is not None:
                check_bool(given, name)
        memory, object_store_memory = quantity(given, "memory"), quantity(given, "object_store_memory")
        return cls(
            namespace=check_text(given, "namespace", blank_allowed=False),
            num_cpus=quantity(given, "num_cpus"),
            num_gpus=num_gpus,
            resources=resource_map(given),
            memory=None if memory is None else int(memory),
            object_store_memory=None if object_store_memory is None else int(object_store_memory),
            log_to_driver=given.get("log_to_driver") is not False,
            log_prefix=given.get("log_prefix") is not False,
            graceful_shutdown_s=30.0 if seconds is None else float(seconds),
            runtime_env=RuntimeEnv.parse(given.get("runtime_env")),
            on_interrupt=_on_interrupt(given),
        )

    def cancels_on_interrupt(self) -> bool:
        """Return whether an interrupt cancels the calls waited for.

        By default it does in a notebook and in IPython, where who stops a cell wants to stop what it does, and does
        not in a script, as in Ray.
        """
        if self.on_interrupt is not None:
            return self.on_interrupt == "cancel"
        shells = sys.modules.get("IPython")
        return shells is not None and shells.get_ipython() is not None

    def namespace_or_default(self) -> str:
        """Return the namespace, or in a notebook the notebook's own, or "" for an anonymous one."""
        return self.namespace if self.namespace is not None else notebook.name()


def _on_interrupt(given: Mapping[str, Any]) -> str | None:
    value = check_text(given, "on_interrupt")
    if value not in (None, "cancel", "detach"):
        raise ValueError(
            f'on_interrupt must be "cancel", so that an interrupt cancels the calls waited for, or "detach", so that '
            f"they go on. Got {value!r}"
        )
    return value


def _held_options(given: Mapping[str, Any]) -> dict[str, Any]:
    num_gpus = quantity(given, "num_gpus")
    if num_gpus is not None and num_gpus > 1 and num_gpus != int(num_gpus):
        raise ValueError(
            f"GPU resource quantities >1 must be whole numbers. The specified quantity {num_gpus} is invalid: ask for "
            "a share of one GPU (0.5) or for whole ones (2)"
        )
    return {
        "num_cpus": quantity(given, "num_cpus"),
        "num_gpus": num_gpus,
        "memory": quantity(given, "memory"),
        "resources": resource_map(given),
        "runtime_env": RuntimeEnv.parse(given.get("runtime_env")),
        "scheduling_strategy": strategy(given.get("scheduling_strategy")),
    }


def _amounts(
    num_cpus: float, num_gpus: float | None, memory: float | None, resources: Mapping[str, float]
) -> dict[str, float]:
    everything = {"CPU": num_cpus, "GPU": num_gpus or 0, "memory": memory or 0, **resources}
    return {name: float(amount) for name, amount in everything.items() if amount}


def _is_detached(lifetime: Literal["detached", "non_detached"] | None) -> bool:
    if lifetime is not None and not isinstance(lifetime, str):
        raise TypeError(f"The type of keyword 'lifetime' must be str or None, but received type {kind(lifetime)}")
    if lifetime not in (None, "detached", "non_detached"):
        raise ValueError(
            f"actor `lifetime` argument must be one of 'detached', 'non_detached' and 'None'. Got: {lifetime!r}"
        )
    return lifetime == "detached"


def _out_of_order(given: Mapping[str, Any]) -> bool | None:
    if given.get("allow_out_of_order_execution") is None:
        return None
    check_bool(given, "allow_out_of_order_execution")
    return bool(given["allow_out_of_order_execution"])


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
