"""`ObjectRef`: a reference to a value that may not be there yet."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ObjectRef(Generic[T]):
    """A reference to the result of a call, or to a value that was `put`.

    A process has one ObjectRef per object, however often it is passed around, so references compare and hash by
    identity. The object lives as long as a reference to it lives in any process.

    Made by the engine alone. Follows Ray's `ObjectRef`.
    """

    __slots__ = ("__weakref__", "_entry")

    _entry: Any
    """The engine's own record of the object. Has `id: bytes` and `reduce(ref)`."""

    def __init__(self, entry: Any) -> None:
        self._entry = entry

    def binary(self) -> bytes:
        """Return the object's id, 28 bytes."""
        return self._entry.id  # type: ignore[no-any-return]

    def hex(self) -> str:
        """Return the object's id as 56 hexadecimal digits."""
        return self.binary().hex()

    def task_id(self) -> bytes:
        """Return the id of the task that makes the object, 24 bytes."""
        return self.binary()[:24]

    def is_nil(self) -> bool:
        """Return False: nbactors makes no nil references."""
        return False

    def __repr__(self) -> str:
        return f"ObjectRef({self.hex()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return self._entry.reduce(self)  # type: ignore[no-any-return]

    def __copy__(self) -> ObjectRef[T]:
        return self

    def __deepcopy__(self, memo: object) -> ObjectRef[T]:
        return self

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Any:
        raise TypeError("an ObjectRef is not iterable: call get(ref) first and iterate over the value")
