"""The public names: which there are, where they are, and that they are Ray's."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types

import pytest

import nbactors

PUBLIC = [
    "ActorClassID",
    "ActorID",
    "ClusterID",
    "FunctionID",
    "JobID",
    "LOCAL_MODE",
    "Language",
    "LoggingConfig",
    "NodeID",
    "ObjectID",
    "PlacementGroupID",
    "SCRIPT_MODE",
    "TaskID",
    "UniqueID",
    "WORKER_MODE",
    "WorkerID",
    "__commit__",
    "client",
    "cpp_function",
    "cross_language",
    "java_actor_class",
    "java_function",
    "job_config",
    "logger",
    "profile",
    "Checkpoint",
    "checkpoint",
    "restore",
    "update",
    "DynamicObjectRefGenerator",
    "ObjectRef",
    "ObjectRefGenerator",
    "__version__",
    "actor",
    "available_resources",
    "cancel",
    "cloudpickle",
    "cluster_resources",
    "exceptions",
    "experimental",
    "get",
    "get_actor",
    "get_gpu_ids",
    "get_runtime_context",
    "init",
    "is_initialized",
    "kill",
    "method",
    "move",
    "nodes",
    "panel",
    "put",
    "register_pickle_by_value",
    "remote",
    "runtime_context",
    "shutdown",
    "timeline",
    "types",
    "unregister_pickle_by_value",
    "util",
    "wait",
]

OURS_ALONE = {
    "LOCAL_MODE",  # Ray's of earlier versions
    "move",
    "panel",
    "profile",
    "Checkpoint",
    "checkpoint",
    "restore",
    "update",
    "register_pickle_by_value",  # cloudpickle's, for a module that is being edited
    "unregister_pickle_by_value",
}

# What `dir(ray)` has in Ray 2.60, without what is private, deprecated or of its own build.
RAY = [
    "DynamicObjectRefGenerator", "LoggingConfig", "ObjectRef", "ObjectRefGenerator", "__version__", "actor",
    "available_resources", "cancel", "client", "cloudpickle", "cluster_resources", "exceptions", "experimental", "get",
    "get_actor", "get_gpu_ids", "get_runtime_context", "init", "is_initialized", "kill", "method", "nodes", "put",
    "remote", "remote_function", "runtime_context", "runtime_env", "shutdown", "timeline", "util", "wait",
    "widgets",
    "ActorClassID", "ActorID", "ClusterID", "FunctionID", "JobID", "Language", "NodeID", "ObjectID", "PlacementGroupID",
    "SCRIPT_MODE", "TaskID", "UniqueID", "WORKER_MODE", "WorkerID", "__commit__", "cpp_function",
    "cross_language", "java_actor_class", "java_function", "job_config", "logger", "types",
]  # fmt: skip

RAY_EXCEPTIONS = [
    "ActorAlreadyExistsError", "ActorDiedError", "ActorHandleNotFoundError", "ActorPlacementGroupRemoved",
    "ActorUnavailableError", "ActorUnschedulableError", "AsyncioActorExit", "AuthenticationError",
    "CrossLanguageError", "GetTimeoutError", "LocalRayletDiedError", "NodeDiedError", "ObjectFetchTimedOutError",
    "ObjectFreedError", "ObjectLostError", "ObjectReconstructionFailedError", "ObjectRefStreamEndOfStreamError",
    "ObjectStoreFullError", "OufOfBandObjectRefSerializationException", "OutOfDiskError", "OutOfMemoryError",
    "OwnerDiedError", "PendingCallsLimitExceeded", "PlasmaObjectNotAvailable", "RayActorError",
    "RayCgraphCapacityExceeded", "RayChannelError", "RayChannelTimeoutError", "RayDirectTransportError", "RayError",
    "RaySystemError", "RayTaskError", "ReferenceCountingAssertionError", "RpcError", "RuntimeEnvSetupError",
    "StreamingGeneratorReplayInconsistentError", "TaskCancelledError", "TaskPlacementGroupRemoved",
    "TaskUnschedulableError", "UnserializableException", "UserCodeException", "WorkerCrashedError",
]  # fmt: skip


def test_the_public_names_are_exactly_these() -> None:
    assert sorted(nbactors.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_exists_and_is_documented(name: str) -> None:
    value = getattr(nbactors, name)
    assert isinstance(value, str) or inspect.getdoc(value)


def test_every_other_public_name_is_one_of_ray() -> None:
    assert set(PUBLIC) - OURS_ALONE <= set(RAY)
    assert not OURS_ALONE & set(RAY)


def test_nothing_else_is_public() -> None:
    found = {
        name
        for name, value in vars(nbactors).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    # Hooks and what the module itself needs.
    assert found - set(PUBLIC) == {
        "load_ipython_extension",
        "unload_ipython_extension",
        "annotations",
        "TYPE_CHECKING",
    }


def test_the_exceptions_are_those_of_ray_and_one_more() -> None:
    ours_alone = ["CallTimeoutError"]
    found = [kind.__name__ for kind in nbactors.exceptions.RAY_EXCEPTION_TYPES]
    assert sorted(found) == sorted(RAY_EXCEPTIONS + ours_alone)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("actor", ["ActorClass", "ActorHandle", "ActorMethod", "ActorProxy", "exit_actor", "method"]),
        ("runtime_context", ["RuntimeContext", "get_runtime_context"]),
        ("util", ["ActorPool", "as_completed", "get_node_ip_address", "list_named_actors", "map_unordered"]),
        ("util", ["disable_log_once_globally", "enable_periodic_logging", "log_once", "scheduling_strategies"]),
        ("util", ["deregister_serializer", "inspect_serializability", "register_serializer"]),
        ("experimental.tqdm_ray", ["tqdm", "safe_print"]),
        ("util.actor_pool", ["ActorPool"]),
        ("util.queue", ["Empty", "Full", "Queue"]),
        ("util.scheduling_strategies", ["NodeAffinitySchedulingStrategy", "PlacementGroupSchedulingStrategy"]),
        ("util.scheduling_strategies", ["NodeLabelSchedulingStrategy", "In", "NotIn", "Exists", "DoesNotExist"]),
        ("util.accelerators", ["NVIDIA_A100", "NVIDIA_H100", "GOOGLE_TPU_V4"]),
        ("util.pdb", ["set_trace"]),
        ("types", ["ObjectRef"]),
        ("remote_function", ["RemoteFunction"]),
        ("runtime_env", ["RuntimeEnv"]),
        ("dag", ["ClassMethodNode", "ClassNode", "DAGNode", "FunctionNode", "InputNode", "MultiOutputNode"]),
    ],
)
def test_submodules_have_the_names_of_ray(module: str, names: list[str]) -> None:
    found = nbactors
    for part in module.split("."):
        found = getattr(found, part)
    for name in names:
        assert hasattr(found, name)


def test_the_import_loads_no_engine_and_no_heavy_module() -> None:
    """What `import nbactors` must not cost: an engine, cloudpickle, asyncio, IPython."""
    heavy = ["nbactors.local", "cloudpickle", "msgspec", "asyncio", "IPython", "psutil", "click", "socket", "logging"]
    heavy += [
        "nbactors.jupyter",
        "nbactors.dag",
        "nbactors.util.multiprocessing",
        "ipykernel",
        "ipywidgets",
        "traitlets",
        "comm",
        "matplotlib",
        "html",
        "nbactors.views.html",
        "nbactors.util.actor_pool",
        "nbactors.util.queue",
    ]
    code = f"import sys, nbactors; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_import_on_windows_recommends_wsl2() -> None:
    code = "import sys; sys.platform = 'win32'; import nbactors"
    result = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "ImportError: nbactors runs on Linux and macOS" in result.stderr
    assert "WSL2" in result.stderr
