"""What a session ships to the cluster: the part of this package that needs only the standard library and Ray."""

from __future__ import annotations

import os
import shutil
import tempfile

from nbactors.version import PACKAGE

_LEFT_OUT = ("local", "benchmark", "cli", "testing")
"""Folders that no worker of a cluster needs: the other engine, and what belongs to a user's own machine. From the rooms
of notebooks workers need what runs the cells of `%%on` and `%%remote`."""


class Shipped:
    """A folder with that part, for Ray's `py_modules`, until `close`."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="nbactors-")
        self.path = os.path.join(self._folder, "nbactors")
        """The path of the package's copy."""
        shutil.copytree(PACKAGE, self.path, ignore=self._ignored)

    def _ignored(self, folder: str, names: list[str]) -> list[str]:
        is_top = os.path.samefile(folder, PACKAGE)
        return [
            name
            for name in names
            if name == "__pycache__"
            or (is_top and name in _LEFT_OUT)
            or not (name.endswith(".py") or os.path.isdir(os.path.join(folder, name)))
        ]

    def close(self) -> None:
        """Remove the folder. Ray has its own copy once the session is open."""
        shutil.rmtree(self._folder, ignore_errors=True)
