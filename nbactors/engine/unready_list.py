"""The list that `wait` returns second, which `wait` need not check again when it gets it back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsIndex, TypeVar

T = TypeVar("T")


class UnreadyList(list[T]):
    """A list that knows whether something was put into it.

    The loop `while refs: ready, refs = wait(refs)` hands over a thousand references a thousand times; looking each
    time whether all are references, and each only once, took three quarters of its time. What was checked stays right
    as long as elements are only taken out or moved.
    """

    grown = False  # of the class until it is set, and no `__init__`: one in Python took a quarter of making the list

    def append(self, item: T) -> None:
        """As in list."""
        self.grown = True
        super().append(item)

    def extend(self, items: Iterable[T]) -> None:
        """As in list."""
        self.grown = True
        super().extend(items)

    def insert(self, index: SupportsIndex, item: T) -> None:
        """As in list."""
        self.grown = True
        super().insert(index, item)

    def __setitem__(self, index: Any, item: Any) -> None:
        self.grown = True
        super().__setitem__(index, item)

    def __iadd__(self, items: Iterable[T]) -> UnreadyList[T]:  # type: ignore[override,misc]
        self.grown = True
        super().__iadd__(items)
        return self

    def __imul__(self, count: SupportsIndex) -> UnreadyList[T]:
        self.grown = True
        super().__imul__(count)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)
