"""The names of a session's `__main__` in the `__main__` of its workers.

A class or function of a notebook or script travels by value. Code that looks it up by its name, such as pickle,
multiprocessing or `typing.get_type_hints`, looks in `sys.modules["__main__"]`. So what is pickled while its name leads
to it carries a stamp, the time when it was first pickled. A worker gives the name to the object with the latest stamp:
an older definition, which may arrive later, does not replace a newer one. A name that the worker's own code has
assigned stays as it is.
"""

from __future__ import annotations

import re
import sys
import time
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nbactors.definitions.importable import undecorated

_stamps: dict[str, tuple[int, weakref.ref[Any]]] = {}
"""In a session: the stamp of the object that a name last led to when it was pickled."""

_received: dict[str, tuple[int, Any]] | None = None
"""In a worker: what `__main__` has got, with its stamp. None in a session, whose `__main__` is the user's."""


def begin() -> None:
    """Have this process, a worker, give names to what it receives. Called once, before it gets anything."""
    global _received
    space = vars(sys.modules["__main__"])
    for name in [name for name in space if not name.startswith("__")]:  # of the program that has started the process
        del space[name]
    _received = {}


def stamp(thing: Any, name: str) -> int:
    """Return the stamp of an object if its name in `__main__` leads to it or to its decoration; otherwise 0."""
    if _received is not None:
        received = _received.get(name)
        return received[0] if received is not None and received[1] is thing else 0
    found = vars(sys.modules["__main__"]).get(name)
    if found is None or (found is not thing and undecorated(found) is not thing):
        return 0
    known = _stamps.get(name)
    if known is None or known[1]() is not thing:
        try:
            known = _stamps[name] = (time.time_ns(), weakref.ref(thing))
        except TypeError:  # no weak references to this kind
            return time.time_ns()
    return known[0]


def referred(annotations: Any, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return the types and modules with their names to which annotations refer that are texts.

    Args:
        annotations: The annotations of a class or function.
        space: The globals of its module.
    """
    if not isinstance(annotations, dict):
        return {}
    texts = " ".join(text for text in annotations.values() if isinstance(text, str))
    words = {*_WORD.findall(texts)} if texts else ()
    return {word: space[word] for word in words if word in space and _is_type(space[word])}


def _is_type(thing: Any) -> bool:
    return isinstance(thing, _TYPES) or type(thing).__module__ in ("typing", "typing_extensions")


_WORD = re.compile(r"[^\W\d]\w*")
_TYPES = (type, types.ModuleType, types.GenericAlias, types.UnionType)


def receive(thing: Any, sent: tuple[Callable[[Any, Any], Any] | None, Any, str, int, Mapping[str, Any]]) -> None:
    """Set the state of an object that has arrived, and give it its name. Called while it is unpickled, on any thread.

    Args:
        thing: The object.
        sent: The function that sets the state, or None; the state; the name, the stamp, and further names with their
            values, to which the object's annotations refer.
    """
    set_state, state, name, at, others = sent
    if set_state is not None:
        set_state(thing, state)
    if _received is not None:
        _give(name, thing, at)
        for other, value in others.items():
            if getattr(value, "__module__", None) != "__main__":  # it gets its own name with its own stamp
                _give(other, value, at)


def _give(name: str, thing: Any, at: int) -> None:
    assert _received is not None
    space = vars(sys.modules["__main__"])
    known = _received.get(name)
    if known is not None:
        if at < known[0] or space.get(name) is not known[1]:
            return
    elif name in space or (name == "__file__" and space.get("__spec__") is None):
        return  # without a `__spec__`, multiprocessing would run that file in the processes that it starts
    _received[name] = (at, thing)
    space[name] = thing


def forget(space: Mapping[str, Any]) -> None:
    """Take back the names of all that has these globals: they came together, and are no longer needed."""
    for name, (_, thing) in list((_received or {}).items()):
        if any(globals_ is space for globals_ in _globals_of(thing)):
            del _received[name]  # type: ignore[union-attr] # it is not empty
            if vars(sys.modules["__main__"]).get(name) is thing:
                del vars(sys.modules["__main__"])[name]


def _globals_of(thing: Any) -> Iterator[Any]:
    thing = getattr(thing, "__wrapped__", thing)
    yield getattr(thing, "__globals__", None)
    if isinstance(thing, type):
        for member in list(vars(thing).values()):
            yield getattr(getattr(member, "__func__", member), "__globals__", None)
