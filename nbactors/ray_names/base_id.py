"""`BaseID`: the common part of all id classes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class BaseID:
    """An id: some bytes of a kind. Ids of one kind and the same bytes are equal. Any thread.

    Args:
        binary: The bytes.

    Raises:
        TypeError: `binary` is not bytes.
        ValueError: It has not the size of this kind.
    """

    _size: ClassVar[int]
    _sizes_elsewhere: ClassVar[tuple[int, ...]] = ()

    __slots__ = ("_binary",)

    def __init__(self, binary: bytes) -> None:
        if not isinstance(binary, bytes):
            raise TypeError(f"Unsupported type: {type(binary)}, expected bytes")
        if len(binary) != self._size and len(binary) not in self._sizes_elsewhere:
            raise ValueError(f"ID string needs to have length {self._size}, got {len(binary)}")
        self._binary = binary

    @classmethod
    def size(cls) -> int:
        """Return the number of bytes of an id of this kind."""
        return cls._size

    @classmethod
    def nil(cls) -> Self:
        """Return the id that names nothing: all its bytes are 0xff."""
        return cls(b"\xff" * cls._size)

    @classmethod
    def from_binary(cls, id_bytes: bytes) -> Self:
        """Return the id with these bytes."""
        return cls(id_bytes)

    @classmethod
    def from_hex(cls, hex_id: str) -> Self:
        """Return the id with these hexadecimal digits, as from `get_runtime_context()`.

        Raises:
            TypeError: `hex_id` is not a str.
            ValueError: It has other characters, or not the length of this kind.
        """
        if not isinstance(hex_id, str):
            raise TypeError(f"Unsupported type: {type(hex_id)}, expected str")
        return cls(bytes.fromhex(hex_id))

    def binary(self) -> bytes:
        """Return the bytes."""
        return self._binary

    def hex(self) -> str:
        """Return the bytes as hexadecimal digits."""
        return self._binary.hex()

    def is_nil(self) -> bool:
        """Return whether this is the id that names nothing."""
        return self._binary == b"\xff" * len(self._binary)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._binary == self._binary

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._binary))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._binary,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"


class RandomID(BaseID):
    """An id that is drawn at random."""

    __slots__ = ()

    @classmethod
    def from_random(cls) -> Self:
        """Return a new id."""
        return cls(os.urandom(cls._size))
