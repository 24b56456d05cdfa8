"""Tools on top of the verbs, under Ray's names: `nbactors.util.list_named_actors`, and more in the modules here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal, overload

from nbactors import engine
from nbactors.util import scheduling_strategies
from nbactors.util.placement_group import (  # the function hides the module of its name, as in Ray
    get_current_placement_group,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

if TYPE_CHECKING:
    from nbactors.util import (
        accelerators,
        actor_pool,
        check_serialize,
        client,
        collective,
        debug,
        helpers,
        metrics,
        pdb,
        queue,
        rpdb,
        serialization,
    )
    from nbactors.util.actor_pool import ActorPool
    from nbactors.util.check_serialize import inspect_serializability
    from nbactors.util.client import connect, disconnect
    from nbactors.util.debug import disable_log_once_globally, enable_periodic_logging, log_once
    from nbactors.util.helpers import as_completed, map_unordered
    from nbactors.util.progress_bar import progress
    from nbactors.util.serialization import deregister_serializer, register_serializer

__all__ = [
    "ActorPool",
    "accelerators",
    "actor_pool",
    "as_completed",
    "check_serialize",
    "client",
    "collective",
    "connect",
    "debug",
    "deregister_serializer",
    "disable_log_once_globally",
    "disconnect",
    "enable_periodic_logging",
    "get_current_placement_group",
    "get_node_ip_address",
    "get_placement_group",
    "helpers",
    "inspect_serializability",
    "list_named_actors",
    "log_once",
    "map_unordered",
    "metrics",
    "pdb",
    "placement_group",
    "placement_group_table",
    "progress",
    "queue",
    "register_serializer",
    "remove_placement_group",
    "rpdb",
    "scheduling_strategies",
    "serialization",
]


@overload
def list_named_actors(all_namespaces: Literal[False] = False) -> list[str]: ...
@overload
def list_named_actors(all_namespaces: Literal[True]) -> list[dict[str, str]]: ...
@overload
def list_named_actors(all_namespaces: bool) -> list[Any]: ...
def list_named_actors(all_namespaces: bool = False) -> list[Any]:
    """List the living actors that have a name. Starts the runtime if none runs.

    Args:
        all_namespaces: List those of all namespaces instead of this session's own.

    Returns:
        Names; with ``all_namespaces`` dicts with "name" and "namespace".

    Raises:
        TypeError: `all_namespaces` is no bool.
    """
    if not isinstance(all_namespaces, bool):
        raise TypeError(f"all_namespaces must be True or False. Got: {all_namespaces!r:.80}")
    rows = engine.current().list_named_actors(all_namespaces)
    if all_namespaces:
        return [{"name": name, "namespace": namespace} for namespace, name in rows]
    return [name for _, name in rows]


def get_node_ip_address(address: str | None = None) -> str:
    """Return the address under which processes of this machine reach each other: "127.0.0.1". Any thread.

    Args:
        address: Ray's name for a server outside, as seen from which the address is to be. No effect.
    """
    del address
    return "127.0.0.1"


_LATER = {
    "ActorPool": "nbactors.util.actor_pool",
    **dict.fromkeys(("as_completed", "map_unordered"), "nbactors.util.helpers"),
    **dict.fromkeys(("connect", "disconnect"), "nbactors.util.client"),
    **dict.fromkeys(("disable_log_once_globally", "enable_periodic_logging", "log_once"), "nbactors.util.debug"),
    **dict.fromkeys(("deregister_serializer", "register_serializer"), "nbactors.util.serialization"),
    "inspect_serializability": "nbactors.util.check_serialize",
    "progress": "nbactors.util.progress_bar",
}

_MODULES = (
    "accelerators",
    "actor_pool",
    "check_serialize",
    "client",
    "collective",
    "debug",
    "helpers",
    "metrics",
    "pdb",
    "queue",
    "rpdb",
    "serialization",
)


def __getattr__(name: str) -> Any:
    """Import a name or module at its first use: few programs need it."""
    if name in _MODULES:
        return importlib.import_module(f"nbactors.util.{name}")
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
