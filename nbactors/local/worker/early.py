"""What the forkserver makes before it forks, so that workers begin sooner and share its memory.

Classes and functions of `__main__` travel by value, and few programs have no actor of such a class. So the forkserver
imports cloudpickle and the modules that use it. These are imported again in a worker whose path leads to another
cloudpickle: that of its runtime_env, or of a path that the session has added since.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder

from nbactors.local.wire.framing import control_codec, peer_codec
from nbactors.local.worker.printing import process_title

_BY_VALUE = ("nbactors.definitions.classes", "nbactors.definitions.cloud")
_PICKLER = "cloudpickle"

inherited: frozenset[str] | None = None
"""The names of the modules that the forkserver had imported before the fork; None in other processes."""

_early: frozenset[str] = frozenset()
_path: list[str] = []


def prepare() -> None:
    """Import what few workers do without, and make the decoders of messages. In the forkserver, once."""
    global _early
    before = set(sys.modules)
    for name in _BY_VALUE:
        importlib.import_module(name)
    added = set(sys.modules) - before
    _early = frozenset(name for name in added if name.partition(".")[0] not in sys.stdlib_module_names)
    control_codec()
    peer_codec()
    process_title.prepare()


def note() -> None:
    """Note the path and the modules that the next workers inherit. In the forkserver."""
    global inherited, _path
    inherited = frozenset(sys.modules)
    _path = list(sys.path)


def give_way() -> None:
    """Forget the pickler and its users if this worker's path leads to another one. Before any user code."""
    if sys.path == _path or _PICKLER not in sys.modules:
        return
    found = PathFinder.find_spec(_PICKLER, sys.path)
    if found is None or found.origin == sys.modules[_PICKLER].__file__:
        return
    for name in _early:
        sys.modules.pop(name, None)
        package, _, attribute = name.rpartition(".")
        if package in sys.modules:
            vars(sys.modules[package]).pop(attribute, None)
