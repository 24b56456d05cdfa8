"""Where a class or function can be imported from, so that it travels by name rather than by value.

A decorated class or function is hidden behind its own name: the module's attribute is the `ActorClass` or
`RemoteFunction` around it. Pickle alone would not find it, so the lookup looks through the decoration.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from nbactors.exceptions import ForeignCodeError  # noqa: F401 - errors that were pickled earlier name it here


def address_of(thing: Any, module: str, qualname: str) -> tuple[str, str] | None:
    """Return `(module, qualname)` if importing that gives `thing` itself or what decorates it, else None.

    None also for `__main__` (a notebook's cells) and for modules that travel by value.
    """
    if module == "__main__" or not module or "<locals>" in qualname or _by_value(module):
        return None
    found = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    if found is None:
        return None
    return (module, qualname) if found is thing or _inner(found) is thing else None


class ByName:
    """Pickles as the name of a class or function, and unpickles as the thing itself, without its decoration."""

    __slots__ = ("_address",)

    def __init__(self, address: tuple[str, str]) -> None:
        self._address = address

    def __reduce__(self) -> tuple[Any, ...]:
        return load_inner, self._address


def load(module: str, qualname: str) -> Any:
    """Import what stands at an address, decoration included. Called while a value is unpickled.

    Raises:
        ImportError, AttributeError: It is not there in this process.
    """
    found: Any = importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    return found


def load_inner(module: str, qualname: str) -> Any:
    """Import the class or function at an address, without what decorates it.

    Raises:
        ImportError, AttributeError: It is not there in this process.
    """
    found = load(module, qualname)
    inner = _inner(found)
    return found if inner is None else inner


def _inner(found: Any) -> Any:
    # Not `__wrapped__` of anything: a functools.wraps wrapper is a function of its own, to be called as it is.
    return vars(type(found)).get("__nbactors_decoration__") and found.__wrapped__


def _by_value(module: str) -> bool:
    """Whether the module, or a package around it, was registered to travel by value."""
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is None:
        return False
    registered = cloudpickle.list_registry_pickle_by_value()
    parts = module.split(".")
    return any(".".join(parts[:end]) in registered for end in range(1, len(parts) + 1))
