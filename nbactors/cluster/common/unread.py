"""Ray's own reports of errors that no code has read: off, since Ray counts reads that this engine makes for itself."""

from __future__ import annotations

from ray._private import worker


def silence_ray() -> None:
    """Have Ray report no such errors in this process. The session reports them, see `Dropped`. Any thread."""
    worker._unhandled_error_handler = _ignore


def _ignore(error: Exception) -> None:
    del error
