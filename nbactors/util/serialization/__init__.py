"""Serializers of the user for values that pickle cannot send. The names are those of `ray.util.serialization`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbactors.definitions.serializers import SERIALIZERS, Serializer

__all__ = ["deregister_serializer", "register_serializer"]


def register_serializer(cls: type, *, serializer: Callable[[Any], Any], deserializer: Callable[[Any], Any]) -> None:
    """Send the instances of a class from this process as what a function makes of them. Any thread.

    It counts for values that are put, passed and returned, also inside other values, and for exactly this class, not
    its subclasses. A process that sends instances back has to register the class itself: an actor in its constructor,
    for example. Example: `register_serializer(Model, serializer=Model.weights, deserializer=Model)`. Source: Ray's page
    "Serialization", "Custom Serialization".

    Args:
        cls: The class.
        serializer: Gets an instance, and returns a value that can be pickled. It runs on the thread that sends.
        deserializer: Gets that value, and returns an instance. It travels with the value, and runs in the receiver.

    Raises:
        TypeError: `cls` is not a class, or one of the others cannot be called.
    """
    _check(cls, "register_serializer")
    for name, function in (("serializer", serializer), ("deserializer", deserializer)):
        if not callable(function):
            raise TypeError(f"register_serializer: {name} must be a function of one argument. Got: {function!r:.80}")
    SERIALIZERS.register(cls, Serializer(serializer, deserializer))


def deregister_serializer(cls: type) -> None:
    """Undo `register_serializer` in this process. Nothing happens if the class is not registered. Any thread.

    Raises:
        TypeError: `cls` is not a class.
    """
    _check(cls, "deregister_serializer")
    SERIALIZERS.deregister(cls)


def _check(cls: object, function: str) -> None:
    if not isinstance(cls, type):
        raise TypeError(f"{function} takes a class. Got an object of type {type(cls).__qualname__!r}: {cls!r:.80}")
