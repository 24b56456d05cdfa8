"""The errors for which a call is run again, as its worker gets them."""

from __future__ import annotations

from nbactors.pickling import pickling


def pickled_types(retry_exceptions: bool | tuple[type[BaseException], ...]) -> bytes:
    """Return the option `retry_exceptions` for a message: empty for no error, "*" for all, else the pickled types."""
    if isinstance(retry_exceptions, bool):
        return b"*" if retry_exceptions else b""
    return pickling.dumps_code(retry_exceptions).data
