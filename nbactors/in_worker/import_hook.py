"""Changes a module of another package as soon as user code imports it, without importing it before.

The finders here and beside have no base of `importlib.abc`: its import takes 10 to 40 ms, and brings up to 70 modules.
"""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType


class _Finder:
    def __init__(self, name: str, change: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._change = change

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`. Any thread that imports."""
        if fullname != self._name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._change(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def after_import(name: str, change: Callable[[ModuleType], None]) -> None:
    """Call `change` with a module once it has been executed: now, if it has been, or when it will be imported.

    Called before any call of user code runs. A worker of Ray may have unpickled user code before, with its imports.
    """
    found = sys.modules.get(name)
    if found is not None:
        change(found)
    else:
        sys.meta_path.insert(0, _Finder(name, change))
