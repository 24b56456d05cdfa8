"""How an enum is pickled by value whose members are made by its own `__init__` or `__new__`.

cloudpickle makes the members anew from their values alone, before the class has its methods. Such members lack what
`__init__` and `__new__` have set, and one that is also a number, text or bytes may get a wrong one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from cloudpickle import cloudpickle

_CONTENT: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    object: lambda _: (),
    int: lambda member: (int.__int__(member),),
    float: lambda member: (float.__float__(member),),
    str: lambda member: (str.__str__(member),),
    bytes: lambda member: (b"".join([member]),),
    tuple: lambda member: (tuple.__getitem__(member, slice(None)),),
}
"""The arguments that make the content of a member anew, by the type of the content."""

_OF_ENUM = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})
"""The attributes of a member that the enum sets."""


def reduced(cls: Any, by_cloudpickle: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return how an enum is pickled: as by cloudpickle, unless its members are made by methods of its own.

    Args:
        cls: A class.
        by_cloudpickle: How cloudpickle pickles it.
    """
    if by_cloudpickle[0] is not cloudpickle._make_skeleton_enum or not _has_own_maker(cls):
        return by_cloudpickle
    kind = cls._member_type_
    content = _CONTENT[object] if kind.__new__ is object.__new__ else _CONTENT.get(kind)
    if content is None:
        return by_cloudpickle
    _, (bases, name, qualname, _, module, tracker, _), (attributes, slots), *_ = by_cloudpickle
    members = {name: (member._value_, content(member)) for name, member in cls.__members__.items()}
    attributes = {name: value for name, value in attributes.items() if name not in members}
    own = {
        name: {key: value for key, value in vars(member).items() if key not in _OF_ENUM}
        for name, member in cls.__members__.items()
    }
    made = (bases, name, qualname, members, module, tracker)
    return _make_enum, made, ((attributes, slots), own), None, None, _set_enum_state


def _has_own_maker(cls: Any) -> bool:
    """Return whether user code makes the members. The `__new__` of an enum itself only looks a member up."""
    for base in cls.__mro__:
        if base.__module__ not in ("enum", "builtins"):
            names = ("__init__", "__new_member__" if issubclass(base, enum.Enum) else "__new__")
            if any(name in vars(base) for name in names):
                return True
    return False


class _Made:
    """Stands for a member in the body of a class: its value, and the arguments for its content."""

    def __init__(self, value: Any, content: tuple[Any, ...]) -> None:
        self.value = value
        self.content = content


def _make_enum(
    bases: tuple[Any, ...],
    name: str,
    qualname: str,
    members: dict[str, tuple[Any, tuple[Any, ...]]],
    module: str,
    tracker: str,
) -> Any:
    kind: Any = type(bases[-1])
    body = kind.__prepare__(name, bases)
    body["__new__"] = _new_member
    for member, (value, content) in members.items():
        body[member] = _Made(value, content)
    made = kind.__new__(kind, name, bases, body)
    made.__module__, made.__qualname__ = module, qualname
    return cloudpickle._lookup_class_or_track(tracker, made)


def _new_member(cls: Any, made: _Made) -> Any:
    base = cls._member_type_
    member = base.__new__(cls, *made.content)
    member._value_ = made.value
    return member


def _set_enum_state(cls: Any, state: tuple[Any, dict[str, dict[str, Any]]]) -> None:
    attributes, own = state
    cloudpickle._class_setstate(cls, attributes)
    for name, values in own.items():
        vars(cls.__members__[name]).update(values)
