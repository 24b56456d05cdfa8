"""Whether a call waits for its user."""

from __future__ import annotations

import os
from types import FrameType

from nbactors.in_worker import breakpoints, questions

_WAITS_FOR_USER = {
    breakpoints.__file__,
    questions.__file__,
    os.path.join(os.path.dirname(__file__), "debugger.py"),  # not imported here: pdb takes long to import
}


def waits_for_user(frames: list[FrameType]) -> bool:
    """Return whether the code of these frames stands in `breakpoint()` or `input()`."""
    return any(frame.f_code.co_filename in _WAITS_FOR_USER for frame in frames)
