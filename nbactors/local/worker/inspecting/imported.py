"""The files whose code this process has imported, and whether they have changed since.

The node has the worker look now and then; imports themselves cost nothing more. A file that an earlier look has seen
has changed if its time, size or inode differs: an editor may replace a file, or put an older one in its place. A file
that no look has seen has changed if its ctime, which only the system sets, is later than the previous look: at that
look the file was not imported yet.

The standard library and the forkserver's imports, which are nbactors itself, are left out. Of packages that pip has
installed only the directory is watched, which changes with every installation.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable
from types import ModuleType

_CLOCK_NS = 10_000_000
"""Nanoseconds by which a file's time may lag behind the clock."""

_INSTALLED = re.compile(r".*?/(?:site|dist)-packages(?=/)")
_LIBRARY = os.path.dirname(os.__file__) + os.sep


class ImportedFiles:
    """The files that were imported after this object was made.

    Args:
        inherited: The names of all modules now, if they are known: each is touched to find them, and with it a page of
            memory that a worker shares with its forkserver.
    """

    def __init__(self, inherited: frozenset[str] | None = None) -> None:
        self._inherited = frozenset(sys.modules) if inherited is None else inherited
        self._count = len(self._inherited)
        self._paths: set[str] = set()
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._looked_ns = time.time_ns()

    def have_changed(self) -> bool:
        """Return whether a file has changed since it was imported. Any thread; takes about 2 us a file.

        A file that an earlier look has seen and that is gone has changed: a fresh process would not find it.
        """
        before_ns, self._looked_ns = self._looked_ns, time.time_ns()
        if len(sys.modules) != self._count:
            self._count = len(sys.modules)
            self._paths = set(_files(self._inherited))
        return any(self._has_changed(path, before_ns) for path in self._paths)

    def _has_changed(self, path: str, before_ns: int) -> bool:
        known = self._seen.get(path)
        try:
            found = os.stat(path)
        except OSError:
            return known is not None
        state = self._seen[path] = (found.st_mtime_ns, found.st_size, found.st_ino)
        if known is not None:
            return state != known
        return before_ns - _CLOCK_NS < found.st_ctime_ns <= self._looked_ns


def _files(inherited: frozenset[str]) -> Iterable[str]:
    """Yield the files of the modules, and the directories of installed packages."""
    for name, module in list(sys.modules.items()):
        if name in inherited or not isinstance(module, ModuleType):
            continue
        # Not by getattr, which would make a lazy module load its contents.
        namespace = vars(module)
        file = getattr(namespace.get("__loader__"), "archive", None) or namespace.get("__file__")
        if not isinstance(file, str):  # a built-in module, or a namespace package
            continue
        installed = _INSTALLED.match(file)
        if installed is not None:
            yield installed.group()
        elif not file.startswith(_LIBRARY):
            yield file
