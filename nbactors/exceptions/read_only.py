"""Why an array that came from `get` cannot be written to, and what to do: said where the error shows."""

from __future__ import annotations

import sys
from types import TracebackType

TEXT = (
    "This may be a value from nbactors: large arrays that come from get(), or as arguments of a remote call, lie in "
    "shared memory that every process on the machine reads without a copy, so they are read-only. To change one, work "
    "on a copy: array = array.copy()."
)


def applies(error: BaseException) -> bool:
    """Return whether `error` is the one that writing to a read-only buffer or array raises."""
    return isinstance(error, (ValueError, TypeError)) and "read-only" in str(error)


def explain_in_scripts() -> None:
    """Have uncaught errors explained at the end of a script's traceback. Called when the first such value is mapped."""
    previous = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        previous(kind, error, trace)
        if applies(error):
            print(f"nbactors: {TEXT}", file=sys.stderr)

    sys.excepthook = excepthook
