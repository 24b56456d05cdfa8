"""Tools on top of the verbs, under Ray's names: `nbactors.util.list_named_actors`, and more in the modules here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal, overload

from nbactors import engine
from nbactors.util import scheduling_strategies

if TYPE_CHECKING:
    from nbactors.util import actor_pool, metrics, queue
    from nbactors.util.actor_pool import ActorPool
    from nbactors.util.progress_bar import progress

__all__ = [
    "ActorPool",
    "actor_pool",
    "list_named_actors",
    "metrics",
    "progress",
    "queue",
    "scheduling_strategies",
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


_LATER = {
    "ActorPool": "nbactors.util.actor_pool",
    "progress": "nbactors.util.progress_bar",
}

_MODULES = ("actor_pool", "metrics", "queue")


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
