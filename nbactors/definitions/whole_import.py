"""Imports a module so that an interrupt cannot leave it half made, and no signal handler finds it half made."""

import _thread
import contextlib
import importlib
import sys

PATIENCE_S = 10.0
"""Seconds to wait for an import that may itself wait for one of this thread: a signal handler has interrupted that."""


def import_whole(name: str) -> None:
    """Import the module on a thread of its own, where no KeyboardInterrupt is raised, and wait for that.

    After an interrupted import Python imports the module anew. A compiled module may keep what the first import had
    made. msgspec 0.22 does so, and then the process dies of a segmentation fault when it makes its first decoder. Users
    meet this who press the stop button just after the first call of a session.

    A signal handler or finalizer that interrupts an import on its own thread, and imports the same module, gets what is
    there of it. If it interrupts this wait instead, its import waits for the other thread.

    Args:
        name: The module's full name.

    An interrupt ends the wait, while the import goes on. The next import of the module waits for it.
    A failed import says nothing here: the caller's own import statement raises the error.
    """
    if name in sys.modules:
        return
    # No `threading.Thread`: a handler may have interrupted the making of one, which holds a lock.
    done = _thread.allocate_lock()
    done.acquire()
    with contextlib.suppress(RuntimeError):  # no thread can start while the interpreter ends, or at the user's limit
        _thread.start_new_thread(_try_import, (name, done))
        done.acquire(timeout=PATIENCE_S)


def _try_import(name: str, done: _thread.LockType) -> None:
    try:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    finally:
        done.release()
