"""`log_once`: log a message once per key. The names are those of `ray.util.debug`."""

from __future__ import annotations

from nbactors.util.debug.once import LogOnce

__all__ = ["disable_log_once_globally", "enable_periodic_logging", "log_once", "reset_log_once"]

_once = LogOnce()


def log_once(key: str) -> bool:
    """Return True at the first call with a key in this process, and False at all others. Any thread.

    Example: `if log_once("slow path"): logger.warning(...)`.
    """
    return _once.is_first(key)


def disable_log_once_globally() -> None:
    """Make `log_once` return False from now on, in this process."""
    _once.is_disabled = True


def enable_periodic_logging() -> None:
    """Make `log_once` forget all keys 60 seconds after the last True, in this process."""
    _once.is_periodic = True


def reset_log_once(key: str | None = None) -> None:
    """Forget a key, by default all keys: the next `log_once` with it returns True."""
    _once.forget(key)
