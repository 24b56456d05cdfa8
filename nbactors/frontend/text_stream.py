"""Streams of text that the user may have closed or replaced: how the runtime writes to them."""

from __future__ import annotations

from typing import Any


def write(stream: Any, text: str) -> None:
    """Write text to a stream of the user's; what its encoding has no bytes for, as an escape: no line is lost.

    Raises:
        OSError, ValueError: The stream is closed, or broken.
    """
    try:
        stream.write(text)
    except UnicodeEncodeError as error:  # raised before anything is written
        stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))


def write_now(stream: Any, text: str) -> None:
    """Write text and flush it. The text is lost where the stream is None, closed, or a broken object of the user's."""
    try:
        write(stream, text)
        stream.flush()
    except Exception:  # noqa: BLE001 - an object of the user's may raise anything
        pass


def is_terminal(stream: Any) -> bool:
    """Return whether a person sees the stream as it is written, and a carriage return goes back in its line."""
    try:
        return bool(stream.isatty())
    except Exception:  # noqa: BLE001 - as above, or None
        return False
