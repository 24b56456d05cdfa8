"""How a report travels from a worker to its session: pickled, in pieces that Ray sends with the calls themselves.

Ray puts larger arguments into its object store. That may be full of the user's objects, so output would wait there; and
those of a process that ends are lost with it.
"""

from __future__ import annotations

import pickle
from typing import Any

PIECE_BYTES = 90_000
"""Bytes of a piece. Ray sends an argument of up to 100 KiB with the call."""


def packed(content: Any) -> list[bytes]:
    """Return the pieces of a report, one at least. Any thread.

    Example: `unpacked(b"".join(packed((1, "text"))))` is `(1, "text")`.
    """
    whole = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
    return [whole[begin : begin + PIECE_BYTES] for begin in range(0, len(whole), PIECE_BYTES)]


def unpacked(content: Any) -> Any:
    """Return a report as it was, also one that was not packed."""
    return pickle.loads(content) if isinstance(content, bytes) else content
