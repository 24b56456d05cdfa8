"""The current frames of all threads."""

from __future__ import annotations

import gc
import sys
import threading
import types

# A run of the garbage collector within `sys._current_frames()` froze the whole process: CPython 3.11 makes the frames
# while it holds the lock of its list of threads, and takes the same lock to free a `threading.local`. The collector may
# run there, as at any allocation; since 3.12 it runs between two instructions only. So it is off during the call. The
# lock keeps another thread from turning it on meanwhile; it is reentrant, for a signal handler may come in between.
_COLLECTOR_OFF = threading.RLock()


def current_frames() -> dict[int, types.FrameType]:
    """Return the current frame of each thread by the thread's identifier, as `sys._current_frames`. Any thread."""
    if sys.version_info >= (3, 12):
        return sys._current_frames()
    with _COLLECTOR_OFF:
        is_on = gc.isenabled()
        try:
            gc.disable()
            return sys._current_frames()
        finally:
            if is_on:
                gc.enable()
