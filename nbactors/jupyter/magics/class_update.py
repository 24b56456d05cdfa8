"""Updates the actors of a class that a cell defines again."""

from __future__ import annotations

from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import nbactors
from nbactors.actor import ActorClass, ActorHandle
from nbactors.exceptions import RayError
from nbactors.upkeep import living

_SHOWN = 5
"""The most actors that a message names. Further ones are counted."""

_sources: dict[str, str] = {}
"""The source of the cell that has defined a class last, by the name of the class."""


def tell_of_old(shell: InteractiveShell, cls: ActorClass[Any], source: str, replaced: str | None) -> None:
    """Print which actors still run an older version of a class. On the main thread.

    Args:
        shell: The notebook's.
        cls: The class as the cell has defined it now.
        source: The source of that cell. Nothing is printed if it has not changed.
        replaced: The variable that is about to get a new actor; its present one is not counted.
    """
    before = _sources.get(cls.__name__)
    _sources[cls.__name__] = source
    if before is None or before == source:
        return
    going = shell.user_ns.get(replaced) if replaced else None
    old = [handle for handle in living(cls) if handle != going]
    if old:
        those = "1 actor still runs" if len(old) == 1 else f"{len(old)} actors still run"
        print(
            f"{those} the old {cls.__name__}: {_names(shell, old)}. To update, keeping state: %%actor --update in this "
            f"cell, or nbactors.update(handle, {cls.__name__})"
        )


def update(shell: InteractiveShell, cls: ActorClass[Any], source: str) -> str:
    """Update the living actors of the class to the version that a cell has defined. On the main thread.

    Returns:
        The error text if some actors were updated and others were not: it says which, and why. Otherwise "".

    Raises:
        UsageError: No actor could be updated. The message says why.
    """
    done: list[ActorHandle[Any]] = []
    failed: dict[str, list[ActorHandle[Any]]] = {}
    for handle in living(cls):
        # If a variable holds a handle to it, that handle is updated, so that it knows the new methods at once.
        mine = _variables(shell).get(handle)
        try:
            nbactors.update(mine[1] if mine else handle, cls)
            done.append(handle)
        except (RayError, TypeError, ValueError, TimeoutError) as error:
            why = str(error.cause) if isinstance(error, nbactors.exceptions.RayTaskError) else str(error)
            failed.setdefault(why, []).append(handle)
    if done:
        print(f"Updated {_names(shell, done)}")
    elif not failed:
        print(f"No {cls.__name__} lives: there is nothing to update")
    reasons = [f"{_names(shell, those)}: {why.rstrip('.')}" for why, those in failed.items()]
    text = f"%%actor --update: {'; '.join(reasons)}. " if reasons else ""
    if text and not done:
        raise UsageError(
            f"{text}{cls.__name__} was not changed in the notebook either; %%actor without --update defines the new "
            "class, for new actors"
        )
    _sources[cls.__name__] = source
    return text and f"{text}New actors of {cls.__name__} run the new code"


def is_one_of(value: Any, cls: ActorClass[Any]) -> bool:
    """Return whether a variable holds a living actor of the class."""
    return isinstance(value, ActorHandle) and any(handle == value for handle in living(cls))


def _variables(shell: InteractiveShell) -> dict[Any, tuple[str, ActorHandle[Any]]]:
    """Return the notebook's variables that hold a handle: name and handle by actor."""
    found: dict[Any, tuple[str, ActorHandle[Any]]] = {}
    for name, value in list(shell.user_ns.items()):
        if type(value) is ActorHandle and not name.startswith("_"):
            found.setdefault(value, (name, value))
    return found


def _names(shell: InteractiveShell, handles: list[ActorHandle[Any]]) -> str:
    """Return the names of actors for a message: the variable of each, else the repr of its handle."""
    variables = _variables(shell)
    names = [variables[handle][0] if handle in variables else repr(handle) for handle in handles]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
