"""The verbs: the public functions of `nbactors`. Each verb checks its arguments and calls the current engine.

Most verbs open a session if none is open. "Source" names the page of Ray's documentation that a verb follows.
"""

from __future__ import annotations

import atexit
import inspect
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from nbactors import engine as engines
from nbactors.actor import ActorClass, ActorHandle, ActorProxy
from nbactors.definitions.by_value import MODULES
from nbactors.definitions.whole_import import import_whole
from nbactors.engine.unready_list import UnreadyList
from nbactors.exceptions import RaySystemError
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.options.checks import check_bool, check_text, kind
from nbactors.options.init_keywords import init_options
from nbactors.ray_context import RayContext
from nbactors.remote_function import P, R, RemoteFunction

if TYPE_CHECKING:
    from nbactors.engine import Engine

T = TypeVar("T")


def init(
    address: str | None = None,
    *,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    resources: dict[str, float] | None = None,
    object_store_memory: int | None = None,
    namespace: str | None = None,
    runtime_env: dict[str, Any] | None = None,
    log_to_driver: bool | None = None,
    log_prefix: bool | None = None,
    ignore_reinit_error: bool = False,
    graceful_shutdown_s: float | None = None,
    on_interrupt: str | None = None,
    ignore_unhandled_errors: bool | None = None,
    engine: str | None = None,
    preload: Sequence[str] | None = None,
    **more: Any,
) -> RayContext:
    """Open a session: start this machine's node if it does not run yet, and connect to the node.

    The call is optional: the first verb that needs a session opens one with the defaults. Any thread.
    Example: `init(num_cpus=4, namespace="training")`. Source: Ray's page "ray.init".

    Args:
        address: None or "auto" for this machine: the session joins your node if that runs, and starts it if not.
            "local" for a node of its own, which no other session sees and which ends with this one, also with its
            detached actors. Or the address of a Ray cluster, such as "head.example:6379": the session joins that, see
            docs/scale.md. None and the environment variable RAY_ADDRESS give a warning, once.
        num_cpus: Number of CPUs of the node. Default: the CPUs that this process may use.
        num_gpus: Number of GPUs of the node. Default: the GPUs that are found.
        resources: Amount of each custom resource, by name.
        object_store_memory: Limit of the values in shared memory, in bytes.
        namespace: Namespace in which actors' names are looked up. Default: a namespace of the notebook, or in a script
            an anonymous namespace.
        runtime_env: What all workers of the session get before they run user code: "env_vars", "working_dir",
            "py_modules", "pip", "uv", "worker_process_setup_hook", see docs/runtime-env.md. `init` waits until packages
            are installed.
        log_to_driver: Whether this process shows the output of the workers. Default: True, unless the environment
            variable RAY_LOG_TO_DRIVER is 0.
        log_prefix: Whether each line of a worker begins with its origin, such as `(Counter pid=123)`. Default: True,
            unless there is a `logging_config`, whose records tell it.
            The prefix has a colour where colours are shown and the environment variable NO_COLOR is not set. Ray does
            not have this keyword.
        ignore_reinit_error: If a session is open already, return it instead of raising RuntimeError.
        graceful_shutdown_s: Seconds that an ending actor may spend in `__ray_shutdown__`. Default: 30.
        on_interrupt: Effect of an interrupt (stop button, Ctrl-C) on the calls that the interrupted code waits for.
            "cancel" cancels them; this is the default in notebooks and in IPython. "detach" lets them go on, as in
            Ray; this is the default in scripts. In a notebook, "cancel" cancels the calls of detached actors one
            second later, and not at all if the kernel restarts: Jupyter interrupts a kernel before a restart.
        ignore_unhandled_errors: Whether to report no errors that no code has read. By default the error of a failed
            call is reported when the last reference to the call's result goes: under the calling cell, in a script on
            stderr. `get`, `await` and futures read errors; `wait` does not. Default: True if the environment variable
            RAY_IGNORE_UNHANDLED_ERRORS is set. Ray has the variable, and not this keyword.
        engine: "local", or "ray" for a Ray cluster: at the address, at the one that "auto" finds, or else on a cluster
            that the session starts on this machine. Default: "ray" for a cluster's address, else what the environment
            variable NBACTORS_ENGINE says, else "local". nbactors's own.
        preload: Names of modules, such as ["numpy"], that are imported once on this machine, so that workers begin with
            them and share their memory. Workers with a runtime_env import modules by themselves. For installed
            packages, not for modules that you edit: a new actor would not have the change. One warning names modules
            that cannot be preloaded, because their import fails, leaves threads or initialises CUDA. nbactors's own.
        **more: Ray's other keywords. `labels`, `job_config`, `logging_config`, `logging_level`, `_memory` and one key
            of `_system_config` have an effect. One warning names all others that ask for what nbactors does not do.

    Returns:
        A description of the session. Its `.disconnect()`, or the end of `with init(): ...`, closes the session.

    Raises:
        RuntimeError: A session is open already, or a keyword is unknown.
        TypeError, ValueError: A value has a wrong type, or is not allowed.
        RuntimeEnvSetupError: The packages of `runtime_env` cannot be installed.
        ModuleNotFoundError: A module of `preload` does not exist.
        RaySystemError, OSError: The node cannot be started or reached.
    """
    given = {
        "num_cpus": num_cpus,
        "num_gpus": num_gpus,
        "resources": resources,
        "object_store_memory": object_store_memory,
        "namespace": namespace,
        "runtime_env": runtime_env,
        "log_to_driver": log_to_driver,
        "log_prefix": log_prefix,
        "graceful_shutdown_s": graceful_shutdown_s,
        "on_interrupt": on_interrupt,
        "ignore_unhandled_errors": ignore_unhandled_errors,
        "engine": engine,
        "preload": preload,
    }
    check_bool({"ignore_reinit_error": ignore_reinit_error}, "ignore_reinit_error")
    options = init_options(address, given, more)
    running = engines.running()
    if running is not None:
        if ignore_reinit_error:
            return RayContext(running.describe())
        raise RuntimeError(
            "Maybe you called init twice by accident? This error can be suppressed by passing in "
            "'ignore_reinit_error=True' or by calling 'shutdown()' prior to 'init()'."
        )
    if more.get("logging_config"):  # that of a JobConfig is for the workers only, as in Ray
        more["logging_config"]._apply()
    return RayContext(engines.start(options.engine, options).describe())


def shutdown(_exiting_interpreter: bool = False, *, wait_for_processes: bool = False) -> None:
    """Close the session and end its actors, except detached actors. Does nothing if no session is open. Any thread.

    On this machine an actor has 3 seconds to end: its running calls go on, and then its `__ray_shutdown__` and atexit
    handlers run. After that its process is killed. So `shutdown` takes 3 seconds where a call runs for longer. To end
    at once, call `cancel(ref, interrupt=True)` or `kill(actor)` first. Calls that wait do not run any more, and running
    tasks are killed at once. The end of a program, or a restart of the kernel, does the same.

    Example: `shutdown()`. Source: Ray's page "ray.shutdown".

    Args:
        _exiting_interpreter: No effect; accepted for Ray's programs.
        wait_for_processes: No effect; accepted for Ray's programs. `shutdown` always waits for the workers to end.
    """
    del _exiting_interpreter, wait_for_processes
    engines.stop()


def is_initialized() -> bool:
    """Return whether a session is open in this process. Any thread. Source: Ray's page "ray.is_initialized"."""
    return engines.running() is not None


class RemoteDecorator(Protocol):
    """The type of the decorator that `remote(...)` with options returns."""

    @overload
    def __call__(self, thing: type[T], /) -> ActorClass[T]: ...  # type: ignore[overload-overlap] # classes first
    @overload
    def __call__(self, thing: Callable[P, R], /) -> RemoteFunction[P, R]: ...
    def __call__(self, thing: Any, /) -> Any:
        """Decorate a class or function."""
        ...


@overload
def remote(thing: type[T], /) -> ActorClass[T]: ...  # type: ignore[overload-overlap] # classes first
@overload
def remote(thing: Callable[P, R], /) -> RemoteFunction[P, R]: ...
@overload
def remote(**options: Any) -> RemoteDecorator: ...
def remote(*args: Any, **options: Any) -> Any:
    """Make a class an actor class, or a function a remote function. Any thread; starts nothing.

    Examples: `@remote`, `@remote(num_cpus=2)`, and `CounterActor = remote(Counter)`. Type checkers infer most from the
    last form. Source: Ray's page "ray.remote".

    Args:
        *args: The class or function, if there are no options.
        **options: For actors and functions ``num_cpus``, ``num_gpus``, ``memory`` (bytes, for the placement),
            ``memory_limit`` (bytes or "2GiB"; nbactors's own: beyond it a method or task gets MemoryError),
            ``resources``, ``accelerator_type``, ``runtime_env``, ``scheduling_strategy``, ``label_selector``,
            ``fallback_strategy``, ``name``; for actors ``namespace``, ``lifetime``, ``get_if_exists``,
            ``max_concurrency``, ``concurrency_groups``, ``max_pending_calls``,
            ``allow_out_of_order_execution``, ``max_restarts``, ``max_task_retries``; for functions ``num_returns``,
            ``max_retries``, ``retry_exceptions``, ``timeout_s`` (seconds).

    Returns:
        An `ActorClass` for a class, a `RemoteFunction` for a function; with options a decorator that returns these.

    Raises:
        AssertionError: The parentheses are empty, or there are both positional arguments and options.
        TypeError: The decorated object is neither a class nor a function, or an option has a wrong type.
        ValueError: An option is unknown, has a value that is not allowed, or is not served by this version.
    """
    if len(args) == 1 and not options and callable(args[0]):
        return _make_remote(args[0], {})
    if args or not options:
        raise AssertionError(
            "The @remote decorator must be applied either with no arguments and no parentheses, for example '@remote', "
            "or it must be applied using some of its options, for example "
            "'@remote(num_cpus=2, resources={\"CustomResource\": 1})'."
        )

    def decorate(thing: Any) -> Any:
        return _make_remote(thing, options)

    return decorate


def _make_remote(thing: Any, options: dict[str, Any]) -> Any:
    if isinstance(thing, type):
        return ActorClass._of(thing, options)
    if inspect.isfunction(thing):
        return RemoteFunction._of(thing, options)
    hint = " It is remote already: use its .options()." if isinstance(thing, ActorClass | RemoteFunction) else ""
    raise TypeError(f"The @remote decorator must be applied to either a function or a class. Got {kind(thing)}.{hint}")


@overload
def get(object_refs: ObjectRef[T], *, timeout: float | None = None, _use_object_store: bool = False) -> T: ...
@overload
def get(
    object_refs: list[ObjectRef[T]], *, timeout: float | None = None, _use_object_store: bool = False
) -> list[T]: ...
@overload
def get(
    object_refs: list[ObjectRef[Any]], *, timeout: float | None = None, _use_object_store: bool = False
) -> list[Any]: ...
def get(object_refs: Any, *, timeout: float | None = None, _use_object_store: bool = False) -> Any:
    """Wait for the value of a reference, or for the values of a list of references, and return them.

    Any thread; blocks it. Example: `first, second = get([a, b], timeout=5)`. Source: Ray's page "ray.get".

    Args:
        object_refs: An ObjectRef or a list of ObjectRefs. An ObjectRefGenerator is returned unchanged, as in Ray.
        timeout: Limit of the wait in seconds. None waits without limit, 0 does not wait.
        _use_object_store: No effect; accepted for Ray's programs. All values go through the object store.

    Returns:
        The value, or a list of the values in the order of the references.

    Raises:
        GetTimeoutError: A value is missing at the end of the time limit.
        RayTaskError: The call raised an error. The raised object is also an instance of that error's type.
        RayError: The value can never be ready, for example because its actor died: see `nbactors.exceptions`.
        ValueError: `object_refs` is neither a reference nor a list.
        TypeError: An element of the list is not an ObjectRef.
    """
    __tracebackhide__ = True
    if timeout is not None:
        timeout = _get_timeout(timeout)
    if isinstance(object_refs, ObjectRef):
        return engines.current().get_one(object_refs, timeout)
    if isinstance(object_refs, ObjectRefGenerator):
        return object_refs
    if not isinstance(object_refs, list):
        raise ValueError(
            f"Invalid type of object refs, {type(object_refs)}, is given. 'object_refs' must either be an ObjectRef or "
            f"a list of ObjectRefs. Got: {object_refs!r:.80}"
        )
    if set(map(type, object_refs)) - {ObjectRef}:  # one pass at the speed of C for the usual case
        for ref in object_refs:
            if not isinstance(ref, ObjectRef):
                raise TypeError(f"Attempting to call `get` on the value {ref!r:.80}, which is not an ObjectRef.")
    return engines.current().get(object_refs, timeout)


def put(value: T, *, _owner: None = None, _tensor_transport: str | None = None) -> ObjectRef[T]:
    """Store a copy of a value, and return a reference that every process of the session can use. Any thread.

    Later changes of `value` do not change the stored copy. The copy lives as long as a reference to it lives.
    Example: `ref = put(numpy.zeros(10**6))`. Source: Ray's page "ray.put".

    Args:
        value: Any object that can be pickled, except a reference.
        _owner: Must be None. Ray has removed this parameter.
        _tensor_transport: How Ray moves tensors between GPUs. A warning says that it has no effect, unless it is None
            or "object_store".

    Raises:
        TypeError: The value is an ObjectRef, or cannot be pickled.
        ValueError: `_owner` is given.
    """
    if isinstance(value, ObjectRef):
        raise TypeError(
            "Calling 'put' on an ObjectRef is not allowed. If you really want to do this, you can wrap the ObjectRef "
            "in a list and call 'put' on it."
        )
    if _owner is not None:
        raise ValueError("put(_owner=...) is not supported, as in Ray since 2.56. The process that puts is the owner.")
    if _tensor_transport is not None and _tensor_transport.lower() != "object_store":
        import warnings  # noqa: PLC0415 - rarely

        warnings.warn(
            f"put(_tensor_transport={_tensor_transport!r}) has no effect in nbactors: values go through the object "
            "store, a tensor of a GPU by way of the memory",
            UserWarning,
            stacklevel=2,
        )
    return engines.current().put(value)


@overload
def wait(
    ray_waitables: Sequence[ObjectRef[T]],
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> tuple[list[ObjectRef[T]], list[ObjectRef[T]]]: ...
@overload
def wait(
    ray_waitables: Sequence[ObjectRef[Any] | ObjectRefGenerator[Any]],
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> tuple[list[Any], list[Any]]: ...
def wait(
    ray_waitables: Sequence[ObjectRef[T] | ObjectRefGenerator[Any]],
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> tuple[list[Any], list[Any]]:
    """Wait until `num_returns` of the references are ready: until each has a value or an error.

    Any thread; blocks it. Example: `ready, pending = wait(refs, timeout=1)`. Source: Ray's page "ray.wait".

    Args:
        ray_waitables: A list of different ObjectRefs and ObjectRefGenerators. A generator is ready when it has a
            reference to read, or has ended.
        num_returns: Number of ready references to wait for, from 1 to the length of the list.
        timeout: Limit of the wait in seconds; None waits without limit.
        fetch_local: Whether a value in another process counts as ready only after it was fetched to this process.

    Returns:
        Two lists: at most `num_returns` ready references, and all others, both in the order of `ray_waitables`.

    Raises:
        TypeError: `ray_waitables` is not a list of references, or another argument has a wrong type.
        ValueError: A reference is in the list twice, or `num_returns` or `timeout` is out of range.
    """
    refs: Any = ray_waitables
    is_checked = type(refs) is UnreadyList and not refs.grown
    if not is_checked and not isinstance(refs, list):
        single = f"a single {type(refs).__name__}: put it in a list" if isinstance(refs, _WAITABLE) else f"{type(refs)}"
        raise TypeError(f"wait() expected a list of ObjectRef, got {single}")
    if timeout is not None:
        check_wait_timeout(timeout)
    if not is_checked:
        check_waitables(refs)
    if not refs:
        return [], []
    if type(num_returns) is not int or num_returns != 1:
        num_returns = check_num_returns(num_returns, refs)
    ready, unready = engines.current().wait(refs, num_returns, timeout, fetch_local)
    return ready, unready if type(unready) is UnreadyList else UnreadyList(unready)


def kill(actor: ActorHandle[Any] | ActorProxy[Any], *, no_restart: bool = True) -> None:
    """End an actor at once, without `__ray_shutdown__` and atexit handlers. Its pending and later calls fail.

    `handle.__ray_terminate__.remote()` ends an actor gracefully instead. Any thread; blocks it until the actor's name
    is free. Example: `kill(counter)`. Source: Ray's pages "ray.kill" and "Terminating Actors".

    Args:
        actor: A handle.
        no_restart: False to let the actor restart, if it has a restart left (`max_restarts`).

    Raises:
        ValueError: `actor` is not a handle.
        TypeError: `no_restart` is not a bool.
    """
    if not isinstance(actor, ActorHandle):
        raise ValueError(f"kill() only supported for actors, given by a handle. Got: {actor!r:.80}, {type(actor)}.")
    if not isinstance(no_restart, bool):
        raise TypeError(f"no_restart must be True or False. Got: {kind(no_restart)}")
    engines.current().kill(actor._link, no_restart)


def cancel(
    ref: ObjectRef[Any] | ObjectRefGenerator[Any],
    *,
    force: bool = False,
    recursive: bool = True,
    interrupt: bool = False,
) -> None:
    """Cancel a call. The verb does not wait for the call's end. Nothing happens to a finished call or a `put` value.

    A call that has not started never runs. One exception: after calls shorter than 0.2 ms a worker looks for
    cancellations only every few calls, so a call right behind these may still start. A running task gets
    KeyboardInterrupt, a running `async def` method gets asyncio.CancelledError, and any other running method can only
    ask `get_runtime_context().is_canceled()`. After the call's end `get` raises TaskCancelledError, whatever a method
    has returned. But a task that catches its KeyboardInterrupt may still return a value or raise its own error.
    Any thread. Example: `cancel(ref, interrupt=True)`. Source: Ray's page "ray.cancel".

    Args:
        ref: An ObjectRef of the call, or its ObjectRefGenerator.
        force: End the task's process, and do not retry the task. Not allowed for an actor's calls: see `kill`.
        recursive: Cancel the calls that this call has made, too; with `interrupt`, interrupt them.
        interrupt: Raise KeyboardInterrupt inside an actor's running synchronous method, as Ctrl-C does. If the method
            catches the error and goes on, it gets a second one after a second. If it goes on again, `get` raises an
            error that recommends `kill`. On the threads of a threaded actor the interrupt reaches Python code and
            waits for results, but not blocking system calls. Ray does not have this parameter.

    Raises:
        TypeError: `ref` is not a reference, or another argument is not a bool.
        ValueError: `force` is given for an actor's call, or together with `interrupt`.
    """
    ending: Any = ref.completed() if isinstance(ref, ObjectRefGenerator) else ref
    if not isinstance(ending, ObjectRef):
        raise TypeError(
            f"cancel() only supported for object refs. For actors, try kill(). Got: {type(ref)}, {ref!r:.80}."
        )
    for name, value in (("force", force), ("recursive", recursive), ("interrupt", interrupt)):
        check_bool({name: value}, name)
    if force and interrupt:
        raise ValueError("cancel(force=True, interrupt=True): either end the process, or interrupt what it runs.")
    engines.current().cancel(ending, force, recursive, interrupt)


def get_actor(name: str, namespace: str | None = None) -> ActorHandle[Any]:
    """Return a weak handle to the living actor of a name. Any thread.

    As in Ray, neither the handle nor a copy of it, for instance in an argument, keeps the actor alive. An actor that is
    not detached ends when the handle that `.remote()` has returned is gone, with all copies of that one. Then calls
    fail with `ActorDiedError`. `Counter.options(name="counter", get_if_exists=True).remote()` returns a handle that
    keeps the actor, also if the actor exists already.

    Example: `counter = get_actor("counter")`. Source: Ray's pages "ray.get_actor" and "Named Actors".

    Args:
        name: The name that was given by `options(name=...)`.
        namespace: The actor's namespace; None means the session's namespace.

    Raises:
        ValueError: There is no such actor, or the name is empty or blank.
        TypeError: `name` or `namespace` is not a str.
    """
    given: Any = name
    if given is None or (isinstance(given, str) and not given.strip()):
        raise ValueError(f"Please supply a non-empty value to get_actor: the actor's name. Got: {name!r}")
    check_text({"name": name}, "name")
    check_text({"namespace": namespace}, "namespace", blank_allowed=False)
    return ActorHandle(*engines.current().get_actor(name, namespace))


def get_gpu_ids() -> list[int] | list[str]:
    """Return the ids of the GPUs that this worker may use, as in CUDA_VISIBLE_DEVICES; a driver gets an empty list.

    The ids are int if all are numbers, else str. Any thread. Source: Ray's page "ray.get_gpu_ids".
    """
    ids = engines.current().runtime_facts().gpu_ids
    return [int(gpu) for gpu in ids] if all(gpu.isdigit() for gpu in ids) else list(ids)


def available_resources() -> dict[str, float]:
    """Return the amount of each resource that is free now, by name. Example: {"CPU": 3.0, "memory": 1e9} (bytes).

    Any thread. Source: Ray's page "ray.available_resources".

    Raises:
        RaySystemError: No session is open.
    """
    return _opened().available_resources()


def cluster_resources() -> dict[str, float]:
    """Return the total amount of each resource, by name. Any thread. Source: Ray's page "ray.cluster_resources".

    Raises:
        RaySystemError: No session is open.
    """
    return _opened().cluster_resources()


def nodes() -> list[dict[str, Any]]:
    """Return a list with one dict, which describes this machine's node. Any thread. Source: Ray's page "ray.nodes".

    Raises:
        RaySystemError: No session is open.
    """
    return _opened().nodes()


def register_pickle_by_value(module: types.ModuleType) -> None:
    """Pickle the classes and functions of a module by value from now on, rather than by name. Any thread.

    This is for a module that is being edited: workers get the code that this process has, also after
    `importlib.reload`. Example: `register_pickle_by_value(mymodule)`. Source: cloudpickle's function of that name.

    Args:
        module: The module. Its submodules are registered, too.

    Raises:
        TypeError: `module` is not a module.
    """
    import_whole("cloudpickle")
    import cloudpickle  # noqa: PLC0415 - half of the package's import time, and few programs need it

    _check_module(module)
    cloudpickle.register_pickle_by_value(module)
    MODULES.register(module.__name__, module)


def unregister_pickle_by_value(module: types.ModuleType) -> None:
    """Undo `register_pickle_by_value`. Any thread.

    Raises:
        TypeError: `module` is not a module.
        ValueError: The module was not registered.
    """
    import_whole("cloudpickle")
    import cloudpickle  # noqa: PLC0415 - half of the package's import time, and few programs need it

    _check_module(module)
    cloudpickle.unregister_pickle_by_value(module)
    MODULES.deregister(module.__name__)


def _check_module(module: Any) -> None:
    if not isinstance(module, types.ModuleType):
        raise TypeError(f"Give the module itself, as `import` made it. Got {kind(module)}")


def _opened() -> Engine:
    running = engines.running()
    if running is None:
        engines.check_not_forked()
        raise RaySystemError("Ray has not been started yet: no session is open. Call init() first.")
    return running


def _get_timeout(timeout: Any) -> float | None:
    if not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds or None. Got {kind(timeout)}")
    if timeout == -1:  # earlier versions of Ray meant "no limit" by this value
        return None
    if not timeout >= 0:
        raise ValueError(f"timeout must be nonnegative, or None for no limit. Got: {timeout}")
    return timeout


_WAITABLE = (ObjectRef, ObjectRefGenerator)


def check_waitables(refs: list[Any]) -> None:
    """Raise what `wait` raises if a list contains other things than different references and generators."""
    if set(map(type, refs)) - {ObjectRef, ObjectRefGenerator}:  # one pass at the speed of C for the usual case
        for ref in refs:
            if not isinstance(ref, _WAITABLE):
                raise TypeError(f"wait() expected a list of ObjectRef, got list containing {type(ref)}: {ref!r:.80}")
    if len(set(refs)) != len(refs):
        raise ValueError("Wait requires a list of unique ray_waitables: a reference is in it twice.")


def check_num_returns(num_returns: Any, refs: list[Any]) -> int:
    """Check how many of these references `wait` is to wait for, and return it.

    Raises:
        TypeError, ValueError: It is no number, or out of range.
    """
    # The first test is for speed: `int | float` creates an object.
    if type(num_returns) is not int and not isinstance(num_returns, int | float):
        raise TypeError(f"num_returns must be a number. Got {kind(num_returns)}")
    if num_returns <= 0:
        raise ValueError(f"Invalid number of objects to return {num_returns}: it must be at least 1.")
    if num_returns > len(refs):
        raise ValueError(
            "num_returns cannot be greater than the number of ray_waitables provided to wait: "
            f"{num_returns} of {len(refs)}."
        )
    return int(num_returns)


def check_wait_timeout(timeout: Any) -> None:
    """Raise what `wait` raises for a wrong `timeout`."""
    if not isinstance(timeout, int | float):
        raise TypeError(f"The 'timeout' argument must be a number of seconds or None. Got {kind(timeout)}")
    if not timeout >= 0:
        raise ValueError(f"The 'timeout' argument must be nonnegative. Received {timeout}")


atexit.register(engines.stop)
