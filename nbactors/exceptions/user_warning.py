"""Warnings that name the line of the user's code that has caused them."""

from __future__ import annotations

import os
import sys
import warnings

from nbactors.exceptions.user_frames import is_runtime

_IPYTHON = f"{os.sep}IPython{os.sep}"
"""Its frames stand between a magic and the user's cell."""


def warn_user(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line that is not the package's. Any thread."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and (is_runtime(frame.f_code.co_filename) or _IPYTHON in frame.f_code.co_filename):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)
