"""The serializers that the user has registered in this process, for whichever engine sends values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbactors.definitions.registry import Registry


class Serializer(NamedTuple):
    """How instances of a class are sent.

    Attributes:
        serializer: Returns what stands for an instance.
        deserializer: Makes an instance of that.
    """

    serializer: Callable[[Any], Any]
    deserializer: Callable[[Any], Any]


SERIALIZERS: Registry[type, Serializer] = Registry()
"""The serializers by the classes of their instances."""
