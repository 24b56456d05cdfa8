"""Names that modules had in earlier versions. What was pickled then, to disk for instance, is loaded by them.

Errors name the function that rebuilds them, checkpoints what lies in an actor's state: handles, references, classes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

MODULES = {
    "nbactors.cloud": "nbactors.definitions.cloud",
    "nbactors.local.client": "nbactors.local",
    "nbactors.local.client.actors": "nbactors.local.submitting.handles",
    "nbactors.local.client.entries": "nbactors.local.objects.entry",
    "nbactors.local.client.streams": "nbactors.local.objects.streams",
    "nbactors.meta": "nbactors.definitions.metadata",
    "nbactors.signature": "nbactors.definitions.signature",
    "nbactors.task_error": "nbactors.exceptions.task_error",
}


class OldNames:
    """Finds these modules. Last on `sys.meta_path`: asked only where nothing of that name is there."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`. Any thread that imports."""
        if name not in MODULES:
            return None
        from importlib.machinery import ModuleSpec  # noqa: PLC0415 - not with each import of the package

        return ModuleSpec(name, OldNames, is_package=True)  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """See `importlib.abc.Loader`: a module of its own, so that the new one keeps its name."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Give it what the module has that is there now."""
        __import__(MODULES[module.__name__])
        found = vars(sys.modules[MODULES[module.__name__]])
        vars(module).update({name: value for name, value in found.items() if not name.startswith("__")})
