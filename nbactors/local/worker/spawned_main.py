"""The `__main__` of a process that multiprocessing starts anew (not by `fork`) inside an actor or task.

multiprocessing runs this module there in place of the user's script, which would open a session of its own. What the
script or notebook has defined is not here. Whoever looks for it gets an error that says so: see `describe`.
"""

from __future__ import annotations

import importlib.machinery
import os
import pickle
import sys
from typing import Any

_NAME = "nbactors.local.worker.spawned_main"
_FOLDER = os.path.dirname(sys.modules["nbactors"].__path__[0])
_SPEC = importlib.machinery.ModuleSpec(_NAME, None)


def describe() -> None:
    """Have multiprocessing run this module in the processes that this worker starts anew. Called once.

    Nothing is changed if these processes could not import nbactors.
    """
    if _FOLDER in sys.path:
        sys.modules["__main__"].__spec__ = _SPEC


def _missing(name: str) -> Any:
    """Return an attribute of this module that it does not have: raise the error that says why."""
    if name.startswith("__"):
        raise AttributeError(name)
    # An AttributeError would be replaced by pickle's own, which does not tell the reason.
    raise pickle.UnpicklingError(
        f"{name!r} is defined in the session's notebook or script, which a process does not have that multiprocessing "
        "starts by 'spawn' or 'forkserver' inside an actor or task. Use the start method 'fork', as in "
        "ProcessPoolExecutor(mp_context=multiprocessing.get_context('fork')), or define it in a module"
    )


if __name__ == "__mp_main__":  # as multiprocessing calls it. A worker, which imports it, has a module as any other
    __getattr__ = _missing
