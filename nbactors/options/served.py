"""The names of the served options, and of Ray's options that this version does not serve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbactors.options.checks import check_bytes, check_text, quantity, resource_map, strategy
from nbactors.options.labels import check_labels, selectors_of
from nbactors.runtime_env.worker_setup import WorkerSetup

SHARED = (
    "num_cpus",
    "num_gpus",
    "memory",
    "memory_limit",
    "resources",
    "accelerator_type",
    "runtime_env",
    "scheduling_strategy",
    "label_selector",
    "fallback_strategy",
    "name",
    "_labels",
)

ACCELERATOR = "accelerator_type:"
"""The resources of nodes with a kind of accelerator begin with it. What demands the kind takes a little of it."""

_LITTLE = 0.001

# Options of Ray that this version does not serve, each with the values that have no effect in Ray.
UNSERVED_FOR_ALL: dict[str, tuple[Any, ...]] = {
    "object_store_memory": (None,),
    "placement_group": (None, "default"),
    "placement_group_bundle_index": (-1,),
    "placement_group_capture_child_tasks": (None, False),
}

UNSERVED_FOR_ACTORS: dict[str, tuple[Any, ...]] = {
    **UNSERVED_FOR_ALL,
    "enable_tensor_transport": (None, False),
    "_actor_generator_backpressure_num_objects": (None, -1),
}

UNSERVED_FOR_TASKS: dict[str, tuple[Any, ...]] = {
    **UNSERVED_FOR_ALL,
    "_num_objects_per_yield": (None, 1),
}

UNSERVED_FOR_CALLS: dict[str, tuple[Any, ...]] = {
    "tensor_transport": (None, "object_store", "OBJECT_STORE"),
    "_num_objects_per_yield": (None, 1),
}

BACKPRESSURE = "_generator_backpressure_num_objects"

FOR_ACTORS = (
    *SHARED,
    "namespace",
    "lifetime",
    "get_if_exists",
    "max_concurrency",
    "concurrency_groups",
    "max_pending_calls",
    "allow_out_of_order_execution",
    "enable_task_events",
    "max_restarts",
    "max_task_retries",
)

FOR_TASKS = (
    *SHARED,
    "num_returns",
    "max_calls",
    "max_retries",
    "retry_exceptions",
    "timeout_s",
    "enable_task_events",
    BACKPRESSURE,
)

FOR_METHODS = (
    "num_returns",
    "concurrency_group",
    "enable_task_events",
    "max_task_retries",
    "retry_exceptions",
    "timeout_s",
    BACKPRESSURE,
)

FOR_CALLS = (*FOR_METHODS, "name", "_labels")


def shared_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the options that actors and tasks share, and return them by field. Raises as `ActorOptions.parse`."""
    num_gpus = quantity(given, "num_gpus")
    if num_gpus is not None and num_gpus > 1 and num_gpus != int(num_gpus):
        raise ValueError(
            f"GPU resource quantities >1 must be whole numbers. The specified quantity {num_gpus} is invalid: ask for "
            "a share of one GPU (0.5) or for whole ones (2)"
        )
    check_labels(given, "_labels")
    accelerator = check_text(given, "accelerator_type")
    resources = resource_map(given)
    return {
        "num_cpus": quantity(given, "num_cpus"),
        "num_gpus": num_gpus,
        "memory": quantity(given, "memory"),
        "memory_limit": check_bytes(given, "memory_limit"),
        "resources": resources if accelerator is None else {**resources, f"{ACCELERATOR}{accelerator}": _LITTLE},
        "runtime_env": WorkerSetup.parse(given.get("runtime_env")),
        "scheduling_strategy": strategy(given.get("scheduling_strategy")),
        "selectors": selectors_of(given),
    }


def amounts(
    num_cpus: float, num_gpus: float | None, memory: float | None, resources: Mapping[str, float]
) -> dict[str, float]:
    """Return the amount of each resource by its name, without amounts of 0. Memory is in bytes."""
    everything = {"CPU": num_cpus, "GPU": num_gpus or 0, "memory": memory or 0, **resources}
    return {name: float(amount) for name, amount in everything.items() if amount}
