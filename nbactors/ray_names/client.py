"""`nbactors.client`: refused, since there is no server to connect to."""

from __future__ import annotations

from typing import Any, NoReturn


def client(address: str | None = None, *args: Any, **options: Any) -> NoReturn:
    """Refuse to make a Ray Client.

    Raises:
        NotImplementedError: Always, with what to do instead.
    """
    del args, options
    raise NotImplementedError(
        f"client({address!r}): nbactors has no Ray Client. Its node runs on this machine, and each process connects to "
        "it by itself: call init() instead."
    )
