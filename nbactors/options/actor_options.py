"""The options of actors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from nbactors.options.checks import (
    UNLIMITED,
    check_bool,
    check_count,
    check_group_sizes,
    check_limit,
    check_text,
    kind,
    refuse_unknown,
    refuse_unserved,
)
from nbactors.options.init_options import _NOTHING
from nbactors.options.labels import Selector
from nbactors.options.served import FOR_ACTORS, UNSERVED_FOR_ACTORS, amounts, shared_options
from nbactors.runtime_env.worker_setup import WorkerSetup


class ActorOptions(NamedTuple):
    """The checked options of an actor.

    Attributes:
        name: None for an actor without a name.
        namespace: None for the session's namespace.
        get_if_exists: Return the living actor of that name, if there is one, instead of creating an actor.
        detached: The actor outlives the session.
        num_cpus, num_gpus: None if not given, which differs from 0: see `placement`.
        memory: In bytes; for the placement only.
        memory_limit: Bytes of its own that the process may use while a method runs; None for no limit.
        resources: Amounts of custom resources.
        scheduling_strategy: "DEFAULT", "SPREAD", an object of `util.scheduling_strategies` or None.
        selectors: Demands on the node's labels, of which one must be fulfilled; empty for none.
        max_concurrency: Limit of concurrent calls in the default group; None for the default, which depends on the
            class.
        concurrency_groups: Limit of concurrent calls in each other group, by the group's name.
        max_pending_calls: Limit of pending calls of each calling process; UNLIMITED by default.
        allow_out_of_order_execution: None if the class and max_concurrency decide.
        max_restarts: How often the actor is started again after a crash; -1 for any number.
        max_task_retries: How often a call is run again after a crash of the actor; -1 for any number.
        enable_task_events: Whether calls have task events, unless their methods say otherwise.
        given: The user's options, for `merged`.
    """

    name: str | None = None
    namespace: str | None = None
    get_if_exists: bool = False
    detached: bool = False
    num_cpus: float | None = None
    num_gpus: float | None = None
    memory: float | None = None
    memory_limit: int | None = None
    resources: Mapping[str, float] = _NOTHING
    runtime_env: WorkerSetup | None = None
    scheduling_strategy: Any = None
    selectors: tuple[Selector, ...] = ()
    max_concurrency: int | None = None
    concurrency_groups: Mapping[str, int] = _NOTHING
    max_pending_calls: int = UNLIMITED
    allow_out_of_order_execution: bool | None = None
    max_restarts: int = 0
    max_task_retries: int = 0
    enable_task_events: bool = True
    given: Mapping[str, Any] = _NOTHING

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> ActorOptions:
        """Check the options of `remote(...)` over a class.

        Raises:
            TypeError: A value has a wrong type.
            ValueError: An option is unknown, has a value that is not allowed, or is not served by this version.
        """
        refuse_unknown(given, FOR_ACTORS, UNSERVED_FOR_ACTORS, "actors")
        check_limit(given, "_actor_generator_backpressure_num_objects")
        refuse_unserved(given, UNSERVED_FOR_ACTORS)
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
            max_concurrency=check_count(given, "max_concurrency", 0) or None,  # in Ray 0 means the default, too
            concurrency_groups=check_group_sizes(given),
            max_pending_calls=check_count(given, "max_pending_calls", -1) or UNLIMITED,  # in Ray 0 means no limit
            allow_out_of_order_execution=_out_of_order(given),
            max_restarts=check_count(given, "max_restarts", -1) or 0,
            max_task_retries=check_count(given, "max_task_retries", -1) or 0,
            enable_task_events=given.get("enable_task_events", True),
            given=dict(given),
            **shared_options(given),
        )

    def merged(self, updates: Mapping[str, Any]) -> ActorOptions:
        """Return these options, with those of `.options(...)` in place of the present ones; check all of them again.

        Raises:
            TypeError, ValueError: See `parse`.
        """
        if "concurrency_groups" in updates:
            raise ValueError("Setting 'concurrency_groups' is not supported in '.options()'. Give it to remote().")
        return ActorOptions.parse({**self.given, **updates})

    def held(self) -> dict[str, float]:
        """Return the resources that the actor holds while it lives, without amounts of 0.

        As in Ray an actor without requested resources holds 0 CPUs; an actor that requests only others holds 1 CPU.
        """
        cpus = (1.0 if self._asks() else 0.0) if self.num_cpus is None else self.num_cpus
        return amounts(cpus, self.num_gpus, self.memory, self.resources)

    def placement(self) -> dict[str, float]:
        """Return the resources that must be free when the actor starts: as `held`, or 1 CPU if none is requested."""
        return self.held() if self._asks() else {"CPU": 1.0, **self.held()}

    def _asks(self) -> bool:
        return self.num_cpus is not None or self.num_gpus is not None or bool(self.resources)


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
