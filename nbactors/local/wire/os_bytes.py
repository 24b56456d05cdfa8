"""Paths and environment variables in messages, as bytes, which is what the operating system has.

Such bytes may be invalid UTF-8, which a text in a message cannot be; and processes with different locales decode the
same bytes to different texts. Each process encodes and decodes them by its own locale, as system calls do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping


def encode(text: str) -> bytes:
    """Return a path or variable in the system's encoding; characters that the encoding lacks are escaped."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:  # in an entry of sys.path, which names no file then
        return text.encode("utf-8", "backslashreplace")


def encode_all(texts: Iterable[str]) -> list[bytes]:
    """Return each text as `encode` does."""
    return [encode(text) for text in texts]


def encode_variables(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return environment variables as `encode` does."""
    return {encode(name): encode(value) for name, value in variables.items()}


def decode(data: bytes) -> str:
    """Return the text of a path or variable in this process's locale."""
    return os.fsdecode(data)


def decode_all(data: Iterable[bytes]) -> list[str]:
    """Return each text as `decode` does."""
    return [os.fsdecode(each) for each in data]


def decode_variables(variables: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return environment variables as `decode` does."""
    return {os.fsdecode(name): os.fsdecode(value) for name, value in variables.items()}
