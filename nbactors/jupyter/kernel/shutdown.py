"""Notices the shutdown request of a front end on the kernel's control thread, also while a cell runs."""

from __future__ import annotations

from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from nbactors.frontend.shutdown_request import KERNEL_GRACE_S, SHUTDOWN_REQUEST

_REQUEST = "shutdown_request"


def watch(shell: InteractiveShell) -> None:
    """Watch for the request. Calling it again does nothing. On the main thread."""
    handlers: Any = getattr(getattr(shell, "kernel", None), "control_handlers", {})
    handle = handlers.get(_REQUEST)
    if handle is None or SHUTDOWN_REQUEST.grace_s:
        return

    def note(*request: Any) -> Any:
        SHUTDOWN_REQUEST.is_seen = True
        return handle(*request)

    handlers[_REQUEST] = note
    SHUTDOWN_REQUEST.grace_s = KERNEL_GRACE_S
