"""Ray's actor API on an embedded runtime that starts in a fraction of a second, made for notebooks.

import nbactors as ray
"""

# This file only re-exports the public names and registers the hooks for IPython. docs/architecture.md describes the
# package's rooms (its folders and layers); tests/unit/test_import_rules.py checks which rooms each room may import.

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if sys.platform == "win32":
    raise ImportError(
        "nbactors runs on Linux and macOS: it needs fork and Unix sockets. On Windows, install it inside WSL2 "
        "(https://learn.microsoft.com/windows/wsl/install), where notebooks and scripts run unchanged."
    )

from nbactors import actor, engine, exceptions, old_names, runtime_context, util
from nbactors.actor import method
from nbactors.api import (
    available_resources,
    cancel,
    cluster_resources,
    get,
    get_actor,
    get_gpu_ids,
    init,
    is_initialized,
    kill,
    nodes,
    put,
    register_pickle_by_value,
    remote,
    shutdown,
    unregister_pickle_by_value,
    wait,
)
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import DynamicObjectRefGenerator, ObjectRefGenerator
from nbactors.runtime_context import get_runtime_context
from nbactors.version import __commit__, __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from nbactors import cloudpickle, cross_language, experimental, job_config, types
    from nbactors.cross_language import Language, cpp_function, java_actor_class, java_function
    from nbactors.logging_config import LoggingConfig
    from nbactors.ray_names.client import client
    from nbactors.ray_names.id_classes import (
        ActorClassID,
        ActorID,
        ClusterID,
        FunctionID,
        JobID,
        NodeID,
        PlacementGroupID,
        TaskID,
        UniqueID,
        WorkerID,
    )
    from nbactors.ray_names.log import logger
    from nbactors.upkeep import Checkpoint, checkpoint, move, restore, update
    from nbactors.util.panels import panel
    from nbactors.util.profiling import profile
    from nbactors.util.timeline import timeline


__all__ = [
    "LOCAL_MODE",
    "SCRIPT_MODE",
    "WORKER_MODE",
    "ActorClassID",
    "ActorID",
    "Checkpoint",
    "ClusterID",
    "DynamicObjectRefGenerator",
    "FunctionID",
    "JobID",
    "Language",
    "LoggingConfig",
    "NodeID",
    "ObjectID",
    "ObjectRef",
    "ObjectRefGenerator",
    "PlacementGroupID",
    "TaskID",
    "UniqueID",
    "WorkerID",
    "__commit__",
    "__version__",
    "actor",
    "available_resources",
    "cancel",
    "checkpoint",
    "client",
    "cloudpickle",
    "cluster_resources",
    "cpp_function",
    "cross_language",
    "exceptions",
    "experimental",
    "get",
    "get_actor",
    "get_gpu_ids",
    "get_runtime_context",
    "init",
    "is_initialized",
    "java_actor_class",
    "java_function",
    "job_config",
    "kill",
    "logger",
    "method",
    "move",
    "nodes",
    "panel",
    "profile",
    "put",
    "register_pickle_by_value",
    "remote",
    "restore",
    "runtime_context",
    "shutdown",
    "timeline",
    "types",
    "unregister_pickle_by_value",
    "update",
    "util",
    "wait",
]


SCRIPT_MODE = 0
"""Ray's number for a driver."""

WORKER_MODE = 1
"""Ray's number for a worker."""

LOCAL_MODE = 2
"""Ray's number for the mode without workers, which Ray has removed."""

ObjectID = ObjectRef

_LATER = {
    **dict.fromkeys(("ActorClassID", "ActorID", "FunctionID", "JobID", "NodeID"), "nbactors.ray_names.id_classes"),
    **dict.fromkeys(
        ("ClusterID", "PlacementGroupID", "TaskID", "UniqueID", "WorkerID"), "nbactors.ray_names.id_classes"
    ),
    **dict.fromkeys(("Language", "cpp_function", "java_actor_class", "java_function"), "nbactors.cross_language"),
    "LoggingConfig": "nbactors.logging_config",
    "client": "nbactors.ray_names.client",
    "logger": "nbactors.ray_names.log",
    **dict.fromkeys(("Checkpoint", "checkpoint", "move", "restore", "update"), "nbactors.upkeep"),
    "panel": "nbactors.util.panels",
    "profile": "nbactors.util.profiling",
    "timeline": "nbactors.util.timeline",
}

_MODULES = ("cloudpickle", "cross_language", "dag", "experimental", "job_config", "types")


def __getattr__(name: str) -> object:
    """Import the names of `_LATER` and `_MODULES` at their first use, because few programs use these."""
    if name in _MODULES:
        return importlib.import_module(f"nbactors.{name}")
    module = _LATER.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Register the magics. IPython calls this function for `%load_ext nbactors`, on the main thread."""
    from nbactors.jupyter.magics import registry  # noqa: PLC0415 - IPython may be missing

    registry.load(ipython)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Remove the magics. IPython calls this function for `%unload_ext nbactors`, on the main thread."""
    from nbactors.jupyter.magics import registry  # noqa: PLC0415 - IPython may be missing

    registry.unload(ipython)


def _watch_shell() -> None:
    """Install nbactors' hooks for history, errors and interrupts in a running IPython, also without `%load_ext`."""
    shell = _shell()
    if shell is not None:
        from nbactors.jupyter.kernel import session_hooks  # noqa: PLC0415 - IPython may be missing

        session_hooks.watch(shell)


def _shell() -> InteractiveShell | None:
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None


if _shell() is not None:
    # The first error may come before the session: of a wrong option, for example.
    from nbactors.jupyter.failures import tracebacks

    tracebacks.watch(_shell())
engine.on_start(_watch_shell)
sys.meta_path.append(old_names.OldNames)
