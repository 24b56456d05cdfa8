"""Ray's client of a server on another machine: refused. The module is there, so that programs can import it."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["connect", "disconnect"]


def connect(conn_str: str, *args: Any, **options: Any) -> NoReturn:
    """Refuse to connect to a server.

    Raises:
        NotImplementedError: Always, with what to do instead.
    """
    del args, options
    raise NotImplementedError(
        f"connect({conn_str!r}): nbactors has no Ray Client. Call init() for this machine, or init(address="
        '"head.example:6379") for a Ray cluster.'
    )


def disconnect() -> NoReturn:
    """Refuse to disconnect from a server: `connect` has made no connection.

    Raises:
        NotImplementedError: Always, with what to do instead.
    """
    raise NotImplementedError("disconnect(): nbactors has no Ray Client. Call shutdown() to close the session.")
