"""How a class that is pickled by value is made anew: with its slots, and without what its `class` statement has run.

cloudpickle makes an empty class first, and then sets its attributes. A metaclass or an `__init_subclass__` that needs
keywords, or looks at the attributes, fails with the empty class.
"""

from __future__ import annotations

import abc
import pickle
import threading
import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cloudpickle import cloudpickle

_SLOTS = 3
"""The place of the attributes with which a class is made, among the arguments of cloudpickle's maker of classes."""

_STANDARD = (object, typing.Generic, typing.Protocol)
"""Classes whose `__init_subclass__` needs no keywords."""

_METACLASSES = (type, abc.ABCMeta)

_lock = threading.RLock()


def reduced(cls: type, by_cloudpickle: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return how a class is pickled, from how cloudpickle pickles it.

    Raises:
        PicklingError: The class can only be made by its `class` statement.
    """
    make, arguments, *rest = by_cloudpickle
    if make is not cloudpickle._make_skeleton_class:
        return by_cloudpickle
    if type(cls).__module__.partition(".")[0] == "msgspec":  # it needs the fields when it makes a class
        raise pickle.PicklingError(
            f"{cls.__qualname__} is a msgspec.Struct, which cannot be pickled by value: define it in a module, or make "
            "it a dataclass"
        )
    slots = own_slots(cls)
    if slots is not None:
        arguments[_SLOTS].setdefault("__slots__", slots)
    return _make_class, arguments, *rest


def own_slots(cls: type) -> Any:
    """Return the `__slots__` with which a class was made; None if it was made without.

    cloudpickle's class in the other process has no slots, only the attribute. The state of its instances is then a
    dict, which the original class cannot take.
    """
    slots = vars(cls).get("__slots__")
    if slots is None or issubclass(cls, tuple):  # a NamedTuple is made by a function that sets them itself
        return None
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    if "__dict__" in vars(cls) and "__dict__" not in names:  # set as an attribute of a class that exists
        return None
    return slots if names else ()


def _make_class(
    kind: Any, name: str, bases: tuple[Any, ...], attributes: dict[str, Any], tracker: str, extra: Any
) -> Any:
    known = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker)
    if known is not None:  # the class itself, or as it has come before
        return known
    try:
        return cloudpickle._make_skeleton_class(kind, name, bases, attributes, tracker, extra)
    except Exception:  # noqa: BLE001 - user code, which has run when the class was defined
        return cloudpickle._lookup_class_or_track(tracker, _make_quietly(kind, name, bases, attributes))


def _make_quietly(kind: Any, name: str, bases: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    """Make an empty class by the metaclass of Python's own that its metaclass inherits from."""
    resolved = types.resolve_bases(bases)
    body = dict(attributes)
    if resolved is not bases:
        body["__orig_bases__"] = bases
    plain = next(base for base in kind.__mro__ if base in _METACLASSES)
    with _silenced(resolved):
        return plain.__new__(kind, name, resolved, body)


@contextmanager
def _silenced(bases: tuple[Any, ...]) -> Iterator[None]:
    """Have no `__init_subclass__` of these classes do anything meanwhile."""
    owners = {base for top in bases for base in top.__mro__ if "__init_subclass__" in vars(base)}
    with _lock:  # no other code waits for it, and this code waits for nothing
        originals = {base: vars(base)["__init_subclass__"] for base in owners if base not in _STANDARD}
        try:
            for base in originals:
                base.__init_subclass__ = _nothing
            yield
        finally:
            for base, original in originals.items():
                base.__init_subclass__ = original


_nothing = classmethod(lambda cls, **_: None)
