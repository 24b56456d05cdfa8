"""Paths and environment variables in messages: as the operating system has them, in bytes.

They may be no UTF-8, which texts in messages have to be; and two processes with different locales read the same bytes
as different texts. Sender and receiver turn them from and to texts by their own encoding, as the system calls do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping


def encode(text: str) -> bytes:
    """Return a path or variable as the system gets it; what it can never get, with escapes."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:  # an entry of sys.path, of which Python can make nothing either
        return text.encode("utf-8", "backslashreplace")


def encode_all(texts: Iterable[str]) -> list[bytes]:
    """Return each of them as `encode` does."""
    return [encode(text) for text in texts]


def encode_variables(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return environment variables as `encode` does."""
    return {encode(name): encode(value) for name, value in variables.items()}


def decode(data: bytes) -> str:
    """Return the text that stands for a path or variable in this process."""
    return os.fsdecode(data)


def decode_all(data: Iterable[bytes]) -> list[str]:
    """Return each of them as `decode` does."""
    return [os.fsdecode(each) for each in data]


def decode_variables(variables: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return environment variables as `decode` does."""
    return {os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()}
