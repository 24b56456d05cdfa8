"""The second list that `wait` returns. `wait` does not check this list again when the caller passes it back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsIndex, TypeVar

T = TypeVar("T")


class UnreadyList(list[T]):
    """A list that notes in `grown` whether an element was added.

    For 1000 references the loop `while refs: ready, refs = wait(refs)` passes lists of references 1000 times. Checking
    the types and the uniqueness of the elements each time took three quarters of the loop's time. A checked list stays
    valid as long as elements are only removed or moved.
    """

    grown = False  # a class attribute, since an `__init__` in Python took a quarter of the time to create the list

    def append(self, item: T) -> None:
        """See `list`."""
        self.grown = True
        super().append(item)

    def extend(self, items: Iterable[T]) -> None:
        """See `list`."""
        self.grown = True
        super().extend(items)

    def insert(self, index: SupportsIndex, item: T) -> None:
        """See `list`."""
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
