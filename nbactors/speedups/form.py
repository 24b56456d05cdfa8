"""Which form the path of a call has in this process.

`compiled` is the compiled module, None if this process uses the steps in Python only; `why_not` tells then why.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = ["ConnectionBase", "ReactorBase", "SelectorBase", "compiled", "why_not"]

VERSION = 4
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
    from nbactors.speedups._compiled import ConnectionBase, ReactorBase, SelectorBase
elif compiled is not None:
    SelectorBase, ReactorBase, ConnectionBase = compiled.SelectorBase, compiled.ReactorBase, compiled.ConnectionBase
else:

    class SelectorBase:
        """The state of a selector."""

    class ReactorBase:
        """The state of a reactor; without the compiled part no case is the usual one."""

        def _poll_quickly(self, timeout: float | None, waiter: object, /) -> bool:
            return False

        def _visit_quickly(self, stints: int, /) -> bool | None:
            return None

        def _wait_quickly(self, waiter: object, deadline: float | None, /) -> bool | None:
            return None

    class ConnectionBase:
        """The state of a connection; without the compiled part no case is the usual one."""

        def _send_quickly(self) -> bool:
            return False

        def _send_now_quickly(self, message: object, sent: object, /) -> bool | None:
            return None

        def _receive_quickly(self) -> bool:
            return False
