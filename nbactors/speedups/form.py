"""Which form the path of a call has in this process.

`compiled` is the compiled module, None if this process uses the steps in Python only; `why_not` tells then why.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = ["Line", "compiled", "go_out", "know", "send_task", "settle", "submit", "why_not"]

VERSION = 2
"""The version of `module.c` that the code in Python fits. A module of another one was built from another source."""


def _load() -> tuple[ModuleType | None, str]:
    if os.environ.get("NBACTORS_SPEEDUPS") == "0":
        return None, "NBACTORS_SPEEDUPS is 0"
    try:
        _compiled = import_module("nbactors.speedups._compiled")
    except ImportError:
        return None, "it was not built: this needs Linux and a C compiler at the installation"
    if _compiled.VERSION != VERSION:
        return None, "it was built from another version of nbactors: install again"
    return _compiled, ""


compiled, why_not = _load()

if TYPE_CHECKING:
    from nbactors.speedups._compiled import Line, go_out, know, send_task, settle, submit
elif compiled is not None:
    Line = compiled.Line
    know, submit, go_out, send_task, settle = (
        compiled.know,
        compiled.submit,
        compiled.go_out,
        compiled.send_task,
        compiled.settle,
    )
else:

    def know(*classes: type) -> None:
        """Do nothing."""

    def submit(*parts: object) -> None:
        """Return that this is not the usual case."""

    def go_out(call: object, connection: object, message: object, at_once: bool, /) -> bool:
        """Return that this is not the usual case."""
        return False

    def send_task(queue: object, call: object, connection: object, lease_id: int, /) -> bool:
        """Return that this is not the usual case."""
        return False

    def settle(connection: object, reply: object, /) -> bool:
        """Return that this is not the usual case."""
        return False

    class Line:
        """The state of a connection; without the compiled part no case is the usual one."""

        def _send_quickly(self) -> bool:
            return False

        def _send_now_quickly(self, message: object, sent: object, /) -> bool | None:
            return None

        def _receive_quickly(self) -> bool:
            return False
