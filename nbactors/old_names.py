"""Former names of modules, so that this version loads pickled errors and checkpoints of earlier versions.

A pickle contains the names of modules: an error names the function that rebuilds it, and a checkpoint names the classes
of the handles, references and other objects in an actor's state.
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
    "nbactors.local.wire.arrow": "nbactors.pickling.arrow",
    "nbactors.local.wire.pickling": "nbactors.pickling.pickling",
    "nbactors.local.wire.reducers": "nbactors.pickling.reducers",
    "nbactors.meta": "nbactors.definitions.metadata",
    "nbactors.signature": "nbactors.definitions.signature",
    "nbactors.task_error": "nbactors.exceptions.task_error",
}


class OldNames:
    """Finder and loader of the modules in `MODULES`. The last on `sys.meta_path`: it hides no existing module."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`. Called on every thread that imports."""
        if name not in MODULES:
            return None
        from importlib.machinery import ModuleSpec  # noqa: PLC0415 - not with each import of the package

        return ModuleSpec(name, OldNames, is_package=True)  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """See `importlib.abc.Loader`. Return None for a new module object: the present module keeps its own name."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Fill the new module object with the attributes of the present module."""
        __import__(MODULES[module.__name__])
        found = vars(sys.modules[MODULES[module.__name__]])
        vars(module).update({name: value for name, value in found.items() if not name.startswith("__")})
