"""The address (module and qualified name) by which a class or function is pickled, rather than by value.

For a decorated class or function the module's attribute is the `ActorClass` or `RemoteFunction` around it, so pickle
alone would not find the class or function. The lookup of this module also finds it inside its decoration.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from nbactors.exceptions import ForeignCodeError  # noqa: F401 - errors that were pickled earlier name it here


def address_of(thing: Any, module: str, qualname: str) -> tuple[str, str] | None:
    """Return `(module, qualname)` if this address leads to `thing` or to its decoration in this process, else None.

    Also None for `__main__` (a notebook's cells) and for modules that are pickled by value.
    """
    if module == "__main__" or not module or "<locals>" in qualname or _by_value(module):
        return None
    found = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    if found is None:
        return None
    return (module, qualname) if found is thing or undecorated(found) is thing else None


class ByName:
    """Stands for a class or function in a pickle: pickled as the address, unpickled as the undecorated object."""

    __slots__ = ("_address",)

    def __init__(self, address: tuple[str, str]) -> None:
        self._address = address

    def __reduce__(self) -> tuple[Any, ...]:
        return load_inner, self._address


def load(module: str, qualname: str) -> Any:
    """Import the object at an address, with its decoration. Called during unpickling, on any thread.

    Raises:
        ImportError, AttributeError: This process has no such module or object.
    """
    found: Any = importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    return found


def load_inner(module: str, qualname: str) -> Any:
    """Import the class or function at an address, without its decoration. Called during unpickling, on any thread.

    Raises:
        ImportError, AttributeError: This process has no such module or object.
    """
    found = load(module, qualname)
    inner = undecorated(found)
    return found if inner is None else inner


def undecorated(found: Any) -> Any:
    """Return the class or function inside an `ActorClass` or `RemoteFunction`; None for any other object."""
    # Only nbactors' decorations count: a functools.wraps wrapper, which has `__wrapped__` too, must keep its own code.
    return found.__wrapped__ if "__nbactors_decoration__" in vars(type(found)) else None


def _by_value(module: str) -> bool:
    """Return whether the module, or a package around it, was registered by `register_pickle_by_value`."""
    # Another thread may import cloudpickle just now. Until the import ends, cloudpickle has no functions, and no module
    # can have been registered.
    list_registered = getattr(sys.modules.get("cloudpickle"), "list_registry_pickle_by_value", None)
    if list_registered is None:
        return False
    registered = list_registered()
    parts = module.split(".")
    return any(".".join(parts[:end]) in registered for end in range(1, len(parts) + 1))
