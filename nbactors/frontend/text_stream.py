"""Writes to text streams such as `sys.stdout`, which the user may have closed or replaced."""

from __future__ import annotations

from typing import Any


def write(stream: Any, text: str) -> None:
    """Write text to a stream of the user's. Characters that its encoding lacks are escaped, so that no line is lost.

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
    """Return whether the stream is a terminal, in which a carriage return goes back in the line."""
    try:
        return bool(stream.isatty())
    except Exception:  # noqa: BLE001 - as above, or None
        return False
