"""The verbs. Each checks its arguments and speaks to the current engine; most start one if none runs."""

from __future__ import annotations

import atexit
import inspect
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from nbactors import engine
from nbactors.actor import ActorClass, ActorHandle, ActorProxy
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
    **more: Any,
) -> RayContext:
    """Open a session: start the runtime, if it does not run yet, and connect to it.

    Optional: the first verb that needs a session opens one. Follows Ray's `init`.

    Args:
        address: None, "local" or "auto", which all mean this machine.
        num_cpus: CPUs to count with; by default those that this process may use.
        num_gpus: GPUs to count with; by default those that are found.
        resources: Custom resources, name to amount.
        object_store_memory: Bytes that values may take in shared memory.
        namespace: Where actors' names are looked up; by default the notebook's own, or in a script an anonymous one.
        runtime_env: "env_vars", "working_dir" and "py_modules" for all workers of the session.
        log_to_driver: Whether what workers print appears here; it does by default.
        log_prefix: Whether each line that workers print says whose it is, as `(Counter pid=123)`; it does by default,
            in a colour of its own where the place shows colours and the environment variable NO_COLOR is not set. Ray
            has no such keyword.
        ignore_reinit_error: Return the session that is open instead of refusing.
        graceful_shutdown_s: Seconds that an actor may take to end (`__ray_shutdown__`), by default 30.
        on_interrupt: What an interrupt (the stop button, Ctrl-C) does to the calls that are waited for: "cancel" them,
            the default in a notebook and in IPython, or "detach", as in Ray: they go on, the default in a script.
        **more: Ray's further keywords, where they have a meaning here (`_memory`, `logging_level`, …).

    Returns:
        A description of the session, which also ends it: `with init(): ...`, or `.disconnect()`.

    Raises:
        RuntimeError: A session is open already, or there is an unknown keyword.
        TypeError, ValueError: A wrong value.
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
    }
    check_bool({"ignore_reinit_error": ignore_reinit_error}, "ignore_reinit_error")
    options = init_options(address, given, more)
    running = engine.running()
    if running is not None:
        if ignore_reinit_error:
            return RayContext(running.describe())
        raise RuntimeError(
            "Maybe you called init twice by accident? This error can be suppressed by passing in "
            "'ignore_reinit_error=True' or by calling 'shutdown()' prior to 'init()'."
        )
    return RayContext(engine.start("local", options).describe())


def shutdown(*, wait_for_processes: bool = False) -> None:
    """Close the session: its actors end, except detached ones. Does nothing if none is open.

    Args:
        wait_for_processes: Accepted as in Ray; the session's processes are always waited for.
    """
    del wait_for_processes
    engine.stop()


def is_initialized() -> bool:
    """Return whether a session is open in this process."""
    return engine.running() is not None


class RemoteDecorator(Protocol):
    """What `remote(...)` with options is."""

    @overload
    def __call__(self, thing: type[T], /) -> ActorClass[T]: ...  # type: ignore[overload-overlap] # classes first
    @overload
    def __call__(self, thing: Callable[P, R], /) -> RemoteFunction[P, R]: ...
    def __call__(self, thing: Any, /) -> Any:
        """Decorate."""
        ...


@overload
def remote(thing: type[T], /) -> ActorClass[T]: ...  # type: ignore[overload-overlap] # classes first
@overload
def remote(thing: Callable[P, R], /) -> RemoteFunction[P, R]: ...
@overload
def remote(**options: Any) -> RemoteDecorator: ...
def remote(*args: Any, **options: Any) -> Any:
    """Make a class an actor class, or a function a remote function.

    Used as `@remote`, as `@remote(num_cpus=2)`, or as `Counter = remote(Counter)`, which type checkers like best.

    Args:
        *args: The class or function, if used without options.
        **options: For actors and functions ``num_cpus``, ``num_gpus``, ``memory``, ``resources``, ``runtime_env``,
            ``scheduling_strategy``, ``name``; for actors ``namespace``, ``lifetime``, ``get_if_exists``,
            ``max_concurrency``, ``concurrency_groups``, ``max_pending_calls``, ``allow_out_of_order_execution``; for
            functions ``num_returns``, ``max_retries``, ``retry_exceptions``, ``timeout_s``.

    Raises:
        AssertionError: Empty parentheses, or positional arguments beside options.
        TypeError: Neither a class nor a function, or an option of a wrong type.
        ValueError: A wrong or unknown option, or one that this version does not serve.
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
def get(object_refs: ObjectRef[T], *, timeout: float | None = None) -> T: ...
@overload
def get(object_refs: list[ObjectRef[T]], *, timeout: float | None = None) -> list[T]: ...
@overload
def get(object_refs: list[ObjectRef[Any]], *, timeout: float | None = None) -> list[Any]: ...
def get(object_refs: Any, *, timeout: float | None = None) -> Any:
    """Return the value of a reference, or the values of a list of them; wait until they are there.

    Args:
        object_refs: An ObjectRef or a list of them.
        timeout: Seconds to wait at most; None for no limit, 0 to not wait.

    Raises:
        GetTimeoutError: Not all were there in time.
        RayTaskError: A task raised; it is also an instance of the type that the task raised.
        RayError: A value cannot come any more: see `nbactors.exceptions`.
        ValueError: Neither a reference nor a list.
        TypeError: Something in the list is no reference.
    """
    __tracebackhide__ = True
    if timeout is not None:
        timeout = _get_timeout(timeout)
    if isinstance(object_refs, ObjectRef):
        return engine.current().get((object_refs,), timeout)[0]
    if isinstance(object_refs, ObjectRefGenerator):  # given back as it is, as in Ray
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
    return engine.current().get(object_refs, timeout)


def put(value: T, *, _owner: None = None) -> ObjectRef[T]:
    """Store a value, and return a reference to it that any process of the session may use.

    The value is copied: later changes to it do not show. It lives as long as a reference to it does.

    Args:
        value: Anything that can be pickled, except a reference.
        _owner: Gone from Ray, refused here too.

    Raises:
        TypeError: The value is an ObjectRef, or cannot be pickled.
    """
    if isinstance(value, ObjectRef):
        raise TypeError(
            "Calling 'put' on an ObjectRef is not allowed. If you really want to do this, you can wrap the ObjectRef "
            "in a list and call 'put' on it."
        )
    if _owner is not None:
        raise ValueError("put(_owner=...) is not supported, as in Ray since 2.56. The process that puts is the owner.")
    return engine.current().put(value)


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
    """Wait until some of the references have their value, or an error.

    Args:
        ray_waitables: A list of ObjectRefs and ObjectRefGenerators, each only once. A generator is ready when its next
            reference is there, or it has ended.
        num_returns: How many to wait for.
        timeout: Seconds to wait at most; None for no limit.
        fetch_local: Whether a value that lies in another process must have been fetched to count as ready.

    Returns:
        At most `num_returns` ready references, and the others; both in the order of `ray_waitables`.

    Raises:
        TypeError: No list of references, or a wrong type of the others.
        ValueError: A reference twice, or `num_returns` or `timeout` out of range.
    """
    refs: Any = ray_waitables
    if not isinstance(refs, list):
        single = f"a single {type(refs).__name__}: put it in a list" if isinstance(refs, _WAITABLE) else f"{type(refs)}"
        raise TypeError(f"wait() expected a list of ObjectRef, got {single}")
    if timeout is not None:
        _check_wait_timeout(timeout)
    if type(refs) is not UnreadyList or refs.grown:
        _check_waitables(refs)
    if not refs:
        return [], []
    if type(num_returns) is not int and not isinstance(num_returns, int | float):  # `int | float` makes an object
        raise TypeError(f"num_returns must be a number. Got {kind(num_returns)}")
    if num_returns <= 0:
        raise ValueError(f"Invalid number of objects to return {num_returns}: it must be at least 1.")
    if num_returns > len(refs):
        raise ValueError(
            "num_returns cannot be greater than the number of ray_waitables provided to wait: "
            f"{num_returns} of {len(refs)}."
        )
    ready, unready = engine.current().wait(refs, int(num_returns), timeout, fetch_local)
    return ready, unready if type(unready) is UnreadyList else UnreadyList(unready)


def kill(actor: ActorHandle[Any] | ActorProxy[Any], *, no_restart: bool = True) -> None:
    """End an actor at once, without `__ray_shutdown__` and atexit handlers. Calls to it fail, also pending ones.

    `handle.__ray_terminate__.remote()` ends it gracefully.

    Args:
        actor: A handle.
        no_restart: Whether it stays dead.

    Raises:
        ValueError: `actor` is no handle.
        TypeError: `no_restart` is no bool.
    """
    if not isinstance(actor, ActorHandle):
        raise ValueError(f"kill() only supported for actors, given by a handle. Got: {actor!r:.80}, {type(actor)}.")
    if not isinstance(no_restart, bool):
        raise TypeError(f"no_restart must be True or False. Got: {kind(no_restart)}")
    engine.current().kill(actor._link, no_restart)


def cancel(
    ref: ObjectRef[Any] | ObjectRefGenerator[Any],
    *,
    force: bool = False,
    recursive: bool = True,
    interrupt: bool = False,
) -> None:
    """Cancel a call, as far as that is possible; what has ended, or was `put`, is left as it is. Returns at once.

    A call that has not begun never runs, unless its turn comes in that very moment: behind calls of less than 0.2 ms
    what was cancelled is looked at every few of them. Of those that run: a task gets KeyboardInterrupt, an
    `async def` method asyncio.CancelledError; any other method can look at `get_runtime_context().is_canceled()`.
    `get` on the reference raises TaskCancelledError once the call has ended, whatever a method has returned; a task
    that catches its KeyboardInterrupt may still return a value, or raise an error of its own.

    Args:
        ref: An ObjectRef of the call, or its ObjectRefGenerator.
        force: End the task's process; it is not tried again. Not for calls of actors: see `kill`.
        recursive: Cancel the calls that it has made as well; with `interrupt`, interrupt them.
        interrupt: Raise KeyboardInterrupt inside an actor's running plain method, as Ctrl-C in a terminal does. If it
            catches that and goes on it gets another after a second, and after that `get` raises an error that tells
            what is left: `kill`. In a threaded actor Python code and waits for results are reached, but no blocking
            system call. nbactors's own.

    Raises:
        TypeError: `ref` is neither, or another argument is no bool.
        ValueError: `force` for a call of an actor, or `force` together with `interrupt`.
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
    engine.current().cancel(ending, force, recursive, interrupt)


def get_actor(name: str, namespace: str | None = None) -> ActorHandle[Any]:
    """Return a handle to a living actor by its name.

    Args:
        name: As in `options(name=...)`.
        namespace: None for the session's own.

    Raises:
        ValueError: There is no such actor, or the name is empty or blank.
        TypeError: `name` or `namespace` is no text.
    """
    given: Any = name
    if given is None or (isinstance(given, str) and not given.strip()):
        raise ValueError(f"Please supply a non-empty value to get_actor: the actor's name. Got: {name!r}")
    check_text({"name": name}, "name")
    check_text({"namespace": namespace}, "namespace", blank_allowed=False)
    return ActorHandle(*engine.current().get_actor(name, namespace))


def get_gpu_ids() -> list[int] | list[str]:
    """Return the ids of the GPUs that this worker may use, which CUDA_VISIBLE_DEVICES is set to; in a driver none."""
    ids = engine.current().runtime_facts().gpu_ids
    return [int(gpu) for gpu in ids] if all(gpu.isdigit() for gpu in ids) else list(ids)


def available_resources() -> dict[str, float]:
    """Return what is free now, name to amount.

    Raises:
        RaySystemError: No session is open.
    """
    return _opened().available_resources()


def cluster_resources() -> dict[str, float]:
    """Return what there is in all, name to amount.

    Raises:
        RaySystemError: No session is open.
    """
    return _opened().cluster_resources()


def nodes() -> list[dict[str, Any]]:
    """Return a dict for each node: here one, this machine.

    Raises:
        RaySystemError: No session is open.
    """
    return _opened().nodes()


def register_pickle_by_value(module: types.ModuleType) -> None:
    """Send classes and functions of a module by value from now on, rather than by name.

    For a module that is being edited: workers get its code as it is here, after `importlib.reload` too.

    Args:
        module: The module; those inside it count as well.

    Raises:
        TypeError: It is no module.
    """
    import cloudpickle  # noqa: PLC0415 - half of the import time, and few need it

    from nbactors.local.wire import pickling  # noqa: PLC0415 - as above

    _check_module(module)
    cloudpickle.register_pickle_by_value(module)
    pickling.register_by_value(module.__name__)


def unregister_pickle_by_value(module: types.ModuleType) -> None:
    """Undo `register_pickle_by_value`.

    Raises:
        TypeError: It is no module.
        ValueError: It was not registered.
    """
    import cloudpickle  # noqa: PLC0415 - half of the import time, and few need it

    from nbactors.local.wire import pickling  # noqa: PLC0415 - as above

    _check_module(module)
    cloudpickle.unregister_pickle_by_value(module)
    pickling.unregister_by_value(module.__name__)


def _check_module(module: Any) -> None:
    if not isinstance(module, types.ModuleType):
        raise TypeError(f"Give the module itself, as `import` made it. Got {kind(module)}")


def _opened() -> Engine:
    running = engine.running()
    if running is None:
        engine.check_not_forked()
        raise RaySystemError("Ray has not been started yet: no session is open. Call init() first.")
    return running


def _get_timeout(timeout: Any) -> float | None:
    if not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds or None. Got {kind(timeout)}")
    if timeout == -1:  # Ray's older way to say that there is no limit
        return None
    if not timeout >= 0:
        raise ValueError(f"timeout must be nonnegative, or None for no limit. Got: {timeout}")
    return timeout


_WAITABLE = (ObjectRef, ObjectRefGenerator)


def _check_waitables(refs: list[Any]) -> None:
    if set(map(type, refs)) - {ObjectRef, ObjectRefGenerator}:  # one pass at the speed of C for the usual case
        for ref in refs:
            if not isinstance(ref, _WAITABLE):
                raise TypeError(f"wait() expected a list of ObjectRef, got list containing {type(ref)}: {ref!r:.80}")
    if len(set(refs)) != len(refs):
        raise ValueError("Wait requires a list of unique ray_waitables: a reference is in it twice.")


def _check_wait_timeout(timeout: Any) -> None:
    if not isinstance(timeout, int | float):
        raise TypeError(f"The 'timeout' argument must be a number of seconds or None. Got {kind(timeout)}")
    if not timeout >= 0:
        raise ValueError(f"The 'timeout' argument must be nonnegative. Received {timeout}")


atexit.register(engine.stop)
