"""Texts about what object stores take."""

from __future__ import annotations

from nbactors import byte_sizes


def store_text(held: int, spilled: int, limit: int, silent: int = 0) -> str:
    """Return what object stores take, such as ``1.5 GiB held, 0 B spilled, limit 6.9 GiB``.

    Args:
        held: Bytes of memory.
        spilled: Bytes on disk.
        limit: Bytes of memory that they may take.
        silent: Number of processes that have not answered.
    """
    text = f"{byte_sizes.shown(held)} held, {byte_sizes.shown(spilled)} spilled, limit {byte_sizes.shown(limit)}"
    return f"{text} ({silent_text(silent)})" if silent else text


def silent_text(count: int) -> str:
    """Return how many processes have not answered; empty for none."""
    return f"{count} process{'es' if count > 1 else ''} did not answer" if count else ""
