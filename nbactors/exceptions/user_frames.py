"""Which frames of a traceback belong to the user, and which to the runtime.

The runtime's frames are those of the package, and those of the libraries that it uses for its own purposes: a pickler,
the event loop, a wait. The same libraries are the user's where the user's code has called them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from nbactors.version import PACKAGE

_STDLIB = os.path.dirname(os.__file__) + os.sep
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_CLOUDPICKLE = f"{os.sep}cloudpickle{os.sep}"
_RAY = tuple(f"{folder}ray{os.sep}" for folder in _INSTALLED)
_RAY_COMPILED = "python/ray/"
"""The begin of the names that Ray's compiled files have in tracebacks."""
_FUTURES = (f"{_STDLIB}asyncio{os.sep}", f"{_STDLIB}concurrent{os.sep}")


def are_users(filenames: Sequence[str]) -> list[bool]:
    """Tell of each frame of a traceback whether it is the user's.

    A library's frame is the runtime's if the runtime has called it, as in a wait that is interrupted, or in pickling. A
    frame of a future that has only passed on the runtime's error is the runtime's, too.

    Args:
        filenames: The file names of the frames, outermost first.
    """
    result: list[bool] = []
    for name in filenames:
        is_called_by_runtime = bool(result) and not result[-1]
        result.append(not (is_runtime(name) or (is_called_by_runtime and _serves(name))))
    for index in range(len(result) - 2, -1, -1):
        if not result[index + 1] and filenames[index].startswith(_FUTURES):
            result[index] = False
    return result


def is_runtime(filename: str) -> bool:
    """Return whether a file belongs to the package."""
    return filename.startswith(PACKAGE)


def is_hidden(filename: str) -> bool:
    """Return whether a frame is hidden, of which only the file is known: the package's and the pickler's are."""
    return is_runtime(filename) or _CLOUDPICKLE in filename


def _serves(filename: str) -> bool:
    """Return whether a file is a library's that the runtime uses. Generated code, as of dataclasses, has no file."""
    if filename.startswith(_STDLIB):
        return not any(folder in filename for folder in _INSTALLED)
    if filename.startswith(("<frozen ", _RAY_COMPILED)) or filename == "<string>":
        return True
    return _CLOUDPICKLE in filename or any(folder in filename for folder in _RAY)
