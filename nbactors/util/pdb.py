"""`nbactors.util.pdb`: the debugger, under Ray's name. `breakpoint()` does the same, and `%debug` debugs errors."""

from __future__ import annotations

import sys
from typing import Any

from nbactors import engine

__all__ = ["set_trace"]


def set_trace(breakpoint_uuid: bytes | None = None) -> None:
    """Open the debugger at the calling code, as `breakpoint()` does there.

    In a call that a notebook has made, the prompt opens in the notebook. In a driver it opens in the driver itself. A
    call of a script has nobody who could type, so it refuses. The thread of the caller waits. Source: Ray's module
    "ray.util.pdb".

    Args:
        breakpoint_uuid: Ray's name for the breakpoint. No effect.

    Raises:
        RuntimeError: The calling code is a call of a script.
    """
    del breakpoint_uuid
    frame: Any = sys._getframe(1)
    running = engine.running()
    if running is None or running.runtime_facts().is_driver:
        import pdb  # noqa: PLC0415, T100 - it takes long to import, and the user has asked for it

        pdb.Pdb().set_trace(frame)
    elif running.calling_cell():
        sys.breakpointhook()  # noqa: T100 - the worker's, which leaves out this frame
    else:
        raise RuntimeError(
            f"set_trace() at {frame.f_code.co_filename}:{frame.f_lineno}: the debugger of a call opens in the notebook "
            "that has made the call, and this call is of a script. Call the function without `.remote()` to debug it "
            "in the script, or make the call in a notebook."
        )
