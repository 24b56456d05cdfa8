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
    from nbactors.util import metrics
    from nbactors.util.progress_bar import progress

__all__ = [
    "get_current_placement_group",
    "get_placement_group",
    "list_named_actors",
    "metrics",
    "placement_group",
    "placement_group_table",
    "progress",
    "remove_placement_group",
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


def __getattr__(name: str) -> Any:
    """Import `metrics` or `progress` with its first use: few programs need them."""
    if name == "metrics":
        return importlib.import_module("nbactors.util.metrics")
    if name != "progress":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nbactors.util import progress_bar  # noqa: PLC0415 - see above

    globals()["progress"] = progress_bar.progress
    return progress_bar.progress


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
