"""Imports a compiled module so that an interrupt cannot leave it half made."""

import contextlib
import importlib
import sys
import threading


def import_whole(name: str) -> None:
    """Import the module on a thread of its own, where no KeyboardInterrupt is raised, and wait for that.

    After an interrupted import Python imports the module anew. A compiled module may keep what the first import had
    made. msgspec 0.22 does so, and then the process dies of a segmentation fault when it makes its first decoder. Users
    meet this who press the stop button just after the first call of a session.

    Args:
        name: The module's full name.

    An interrupt ends the wait, while the import goes on. The next import of the module waits for it.
    A failed import says nothing here: the caller's own import statement raises the error.
    """
    if name in sys.modules:
        return
    thread = threading.Thread(target=_try_import, args=(name,), name=f"import {name}")
    with contextlib.suppress(RuntimeError):  # no thread can start while the interpreter ends, or at the user's limit
        thread.start()
        thread.join()


def _try_import(name: str) -> None:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
