"""How actors are created on Ray: the class of the host, and Ray's options."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import ray

from nbactors import exceptions
from nbactors.cluster.host.actor_host import ActorHost
from nbactors.cluster.host.async_actor_host import AsyncActorHost

if TYPE_CHECKING:
    from nbactors.definitions.metadata import ActorMeta
    from nbactors.options import ActorOptions

_PASSED = (
    "accelerator_type",
    "allow_out_of_order_execution",
    "enable_task_events",
    "fallback_strategy",
    "label_selector",
    "lifetime",
    "max_concurrency",
    "max_pending_calls",
    "max_restarts",
    "max_task_retries",
    "memory",
    "name",
    "namespace",
    "num_cpus",
    "num_gpus",
    "resources",
)
"""The options that Ray has under the same name, with the same meaning."""


LARGEST_INLINE = 100 * 1024
"""Bytes from which on Ray sends an argument as a reference."""


def lasting(values: list[Any]) -> list[Any]:
    """Return the arguments of a constructor that may run again, with references for large ones.

    Ray itself forgets a large argument once the constructor has run, and a restart on another node then fails.
    """
    context = ray._private.worker.global_worker.get_serialization_context()

    def is_large(value: Any) -> bool:
        return not isinstance(value, ray.ObjectRef) and context.serialize(value).total_bytes >= LARGEST_INLINE

    return [ray.put(value) if is_large(value) else value for value in values]


def host_class(meta: ActorMeta, options: ActorOptions) -> Any:
    """Return Ray's actor class of the host for a user's class."""
    return _host_class(meta.class_name, meta.is_async, tuple(options.concurrency_groups.items()))


@lru_cache(maxsize=1000)
def _host_class(class_name: str, is_async: bool, groups: tuple[tuple[str, int], ...]) -> Any:
    base = AsyncActorHost if is_async else ActorHost
    # Ray lists the actor under the name of the class.
    named = type(class_name, (base,), {"__module__": "__main__"})
    return ray.remote(concurrency_groups=dict(groups))(named) if groups else ray.remote(named)


def actor_options(options: ActorOptions) -> dict[str, Any]:
    """Return Ray's options for an actor. Raises as `shared`."""
    found = {name: options.given[name] for name in _PASSED if options.given.get(name) is not None}
    found.update(shared(options))
    return found


def shared(options: Any) -> dict[str, Any]:
    """Return Ray's options that actors and tasks share, and that have another form here.

    Raises:
        RaySystemError: Ray has nothing for one of the options.
    """
    if options.memory_limit is not None:
        raise exceptions.RaySystemError(
            "memory_limit is not served on a Ray cluster: Ray's own monitor ends a worker when the node's memory is "
            "used up. Give `memory` for the placement"
        )
    found: dict[str, Any] = {}
    strategy = options.scheduling_strategy
    if strategy is not None:
        found["scheduling_strategy"] = _strategy(strategy)
    runtime_env = options.given.get("runtime_env")
    if runtime_env:
        found["runtime_env"] = _runtime_env(runtime_env)
    return found


def _runtime_env(given: Any) -> dict[str, Any]:
    env = _uploaded(dict(given))
    own = ray.get_runtime_context().runtime_env.get("py_modules") or []
    if env.get("py_modules"):  # Ray replaces the session's modules, of which ours are one
        env["py_modules"] = [*own, *env["py_modules"]]
    return env


def _uploaded(env: dict[str, Any]) -> dict[str, Any]:
    """Upload the folders of a runtime_env, as Ray itself does for those of a session."""
    if not env.get("working_dir") and not env.get("py_modules"):
        return env
    from ray._private.runtime_env.py_modules import upload_py_modules_if_needed  # noqa: PLC0415 - rare
    from ray._private.runtime_env.working_dir import upload_working_dir_if_needed  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as scratch:  # for archives, which Ray removes when it has sent them
        env = upload_py_modules_if_needed(env, include_gitignore=True, scratch_dir=scratch)
        env = upload_working_dir_if_needed(env, include_gitignore=True, scratch_dir=scratch)
    env.pop("excludes", None)
    return env


def _strategy(strategy: Any) -> Any:
    from ray.util import scheduling_strategies  # noqa: PLC0415 - few programs need it

    if isinstance(strategy, str):
        return strategy
    if hasattr(strategy, "placement_group"):
        return scheduling_strategies.PlacementGroupSchedulingStrategy(
            group_of(strategy.placement_group.id.binary()) if strategy.placement_group is not None else None,
            strategy.placement_group_bundle_index,
            strategy.placement_group_capture_child_tasks,
        )
    if hasattr(strategy, "node_id"):
        return scheduling_strategies.NodeAffinitySchedulingStrategy(strategy.node_id, strategy.soft)
    return scheduling_strategies.NodeLabelSchedulingStrategy(
        {each.key: _operator(each.operator) for each in strategy.hard},
        soft={each.key: _operator(each.operator) for each in strategy.soft},
    )


def _operator(operator: Any) -> Any:
    """Return Ray's operator of a demand on a label."""
    from ray.util import scheduling_strategies  # noqa: PLC0415 - as above

    kind = getattr(scheduling_strategies, type(operator).__name__)
    return kind(*getattr(operator, "values", ()))


def group_of(group_id: bytes) -> Any:
    """Return Ray's object of a placement group."""
    from ray.util.placement_group import PlacementGroup  # noqa: PLC0415 - as above

    return PlacementGroup(ray.PlacementGroupID(group_id))
