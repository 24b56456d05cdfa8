"""The files whose code this process has imported, and whether they have changed since.

Looked at now and then, never by the import itself, which costs nothing. A file that was there at an earlier look has
changed if its time, size or inode is another: an editor may replace it, or put an older one in its place. Of a file
that no look has seen yet, only the system's own time of its last change tells, which nobody can set: it has changed if
that is later than the look before, when it had not been imported yet.

Left out are the standard library and what the forkserver has imported, which is nbactors itself. Packages that pip has
installed are watched by their directory alone, which changes with every installation.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable
from types import ModuleType

_CLOCK_NS = 10_000_000
"""By how much a file's time may be behind the clock's."""

_INSTALLED = re.compile(r".*?/(?:site|dist)-packages(?=/)")
_LIBRARY = os.path.dirname(os.__file__) + os.sep


class ImportedFiles:
    """What was imported since this was made."""

    def __init__(self) -> None:
        self._inherited = frozenset(sys.modules)
        self._count = len(self._inherited)
        self._paths: set[str] = set()
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._looked_ns = time.time_ns()

    def have_changed(self) -> bool:
        """Return whether a file has changed since it was imported. Any thread; takes about 2 us a file.

        One that is gone has changed, if an earlier look has seen it: a process that starts now would not find it.
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
    """Yield the files, or directories, that stand for the modules."""
    for name, module in list(sys.modules.items()):
        if name in inherited or not isinstance(module, ModuleType):
            continue
        # Not by getattr: a module that loads its contents on demand would begin to.
        namespace = vars(module)
        file = getattr(namespace.get("__loader__"), "archive", None) or namespace.get("__file__")
        if not isinstance(file, str):  # built in, or a namespace package
            continue
        installed = _INSTALLED.match(file)
        if installed is not None:
            yield installed.group()
        elif not file.startswith(_LIBRARY):
            yield file
