"""`ClassChange`: gives an actor's instance a changed class, and takes it back if a hook raises."""

from __future__ import annotations

from typing import Any


class ClassChange:
    """The change of an instance's class, which is made with this object. The instance keeps its state.

    Args:
        instance: The actor's instance.
        cls: The changed class.

    Attributes:
        old: The class that the instance had.

    Raises:
        TypeError: Instances of the old class cannot become instances of the new one. Nothing was changed.
    """

    def __init__(self, instance: Any, cls: type) -> None:
        self.old = type(instance)
        self._instance = instance
        self._before = dict(getattr(instance, "__dict__", {}))
        try:
            instance.__class__ = cls
        except TypeError as error:
            raise TypeError(
                f"{self.old.__name__} cannot become the new class: {error}. The actor goes on with the old one; create "
                "a new actor of the new class"
            ) from None

    def undo(self) -> None:
        """Give the instance its old class and attributes."""
        instance = self._instance
        instance.__class__ = self.old
        if hasattr(instance, "__dict__"):
            instance.__dict__.clear()
            instance.__dict__.update(self._before)
