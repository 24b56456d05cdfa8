"""`Pool`: the pool of processes."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from nbactors import api
from nbactors.util.multiprocessing.async_result import AsyncResult
from nbactors.util.multiprocessing.callbacks import Callback, Callbacks
from nbactors.util.multiprocessing.imap_iterator import IMapIterator, UnorderedIMapIterator
from nbactors.util.multiprocessing.pool_actor import Form, PoolActor
from nbactors.util.multiprocessing.pool_workers import PoolWorkers

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncResult", "IMapIterator", "Pool", "PoolActor", "PoolTaskError", "UnorderedIMapIterator"]

Iterator = TypeVar("Iterator", bound=IMapIterator)


class PoolTaskError(Exception):
    """Ray's mark of an exception in the results of a batch. No method of a pool raises or returns it, here or in Ray.

    Attributes:
        underlying: The exception that the user's function has raised.
    """

    def __init__(self, underlying: BaseException) -> None:
        super().__init__(underlying)
        self.underlying = underlying


_CHUNKS = 4
"""Chunks of each process, if the user gives no size: small enough for an even load, large enough to cost little."""


class Pool:
    """A pool of actors with the methods of the standard library's `multiprocessing.Pool`. Any thread.

    Functions, arguments and results may be anything that a call can take, also functions and classes of the notebook. A
    process that has crashed is replaced, and its calls fail. The processes of a pool that is garbage collected end
    after their calls. Source: Ray's page "Distributed multiprocessing.Pool".
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., Any] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
        ray_address: str | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
    ) -> None:
        """Create the actors, without waiting for them. Starts the runtime if none runs.

        Args:
            processes: Number of processes; None for the session's CPUs.
            initializer: Called first in each process. If it raises, the calls of the process fail with its traceback.
            initargs: Its arguments.
            maxtasksperchild: Number of chunks after which a process is replaced; None for no limit. Then a method waits
                while as many replaced processes as the pool has still work.
            context: Not used, with a warning, since the runtime starts the processes.
            ray_address: The address for `init`, if the runtime does not run yet.
            ray_remote_args: Options of the actors, such as ``{"num_cpus": 1}``.

        Raises:
            ValueError: There are less than one process or task, or the actors ask for more CPUs than there are.
            TypeError: The initializer cannot be called, or an option has a wrong type.
        """
        _check(processes, initializer, maxtasksperchild)
        if context is not None:
            warnings.warn("Pool ignores its context: nbactors starts the processes itself.", UserWarning, stacklevel=2)
        if not api.is_initialized():
            api.init(ray_address)
        cpus = api.cluster_resources().get("CPU", 0)
        count = max(1, int(cpus)) if processes is None else processes
        options = dict(ray_remote_args or {})
        needed = count * (options.get("num_cpus") or 0)
        if needed > cpus:
            raise ValueError(
                f"The {count} processes of the pool ask for {needed:g} CPUs, but the node has {cpus:g}, so some would "
                "never start. Use fewer processes, or a smaller num_cpus in ray_remote_args."
            )
        make = partial(api.remote(PoolActor).options(**options).remote, initializer, tuple(initargs))
        self._workers = PoolWorkers(count, make, maxtasksperchild)
        self._callbacks = Callbacks()
        self._open: weakref.WeakSet[IMapIterator] = weakref.WeakSet()
        self._state = "RUN"

    def apply(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        kwds: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function in a process, and return its value. See `apply_async`.

        Raises:
            Exception: What the function has raised; see `AsyncResult.get`.
        """
        return self.apply_async(func, args, kwargs, kwds=kwds).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
        *,
        kwds: Mapping[str, Any] | None = None,
    ) -> AsyncResult:
        """Call a function in a process, without waiting for it.

        Args:
            func: The function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.
            callback: Called with the value, on a thread of the pool, before the result is ready.
            error_callback: Called with the exception instead, if there is one.
            kwds: The standard library's name for `kwargs`.

        Raises:
            ValueError: The pool is closed.
            TypeError: The function or an argument cannot be pickled.
        """
        self._check_running()
        named = {**(kwargs or {}), **(kwds or {})}
        ref = self._workers.submit(func, [(tuple(args), named)], Form.CALL)
        return self._result([ref], callback, error_callback, is_single=True)

    def map(self, func: Callable[..., Any], iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """Call a function with each item, and return the list of values. See `map_async`."""
        values: list[Any] = self.map_async(func, iterable, chunksize).get()
        return values

    def map_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> AsyncResult:
        """Call a function with each item, without waiting for it.

        Args:
            func: The function.
            iterable: The items, all taken at once.
            chunksize: Number of items that go to a process at once; None for four chunks for each process.
            callback: Called with the list of values; see `apply_async`.
            error_callback: Called with the first exception instead, if there is one.

        Raises:
            ValueError: The pool is closed, or the size is less than 1.
            TypeError: The function or an item cannot be pickled.
        """
        return self._map(func, iterable, chunksize, callback, error_callback, Form.ITEM)

    def starmap(
        self, func: Callable[..., Any], iterable: Iterable[Iterable[Any]], chunksize: int | None = None
    ) -> list[Any]:
        """Call a function with the arguments in each item, and return the list of values. See `map_async`."""
        values: list[Any] = self.starmap_async(func, iterable, chunksize).get()
        return values

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callback | None = None,
        error_callback: Callback | None = None,
    ) -> AsyncResult:
        """Call a function with the arguments in each item, without waiting for it. See `map_async`."""
        return self._map(func, iterable, chunksize, callback, error_callback, Form.STAR)

    def imap(self, func: Callable[..., Any], iterable: Iterable[Any], chunksize: int | None = 1) -> IMapIterator:
        """Return an iterator over the values of a function for each item, in the order of the items.

        Args:
            func: The function.
            iterable: The items. Two chunks for each process are taken ahead, the others as values are read.
            chunksize: Number of items that go to a process at once.

        Raises:
            ValueError: The pool is closed, or the size is less than 1.
        """
        return self._imap(IMapIterator, func, iterable, chunksize)

    def imap_unordered(
        self, func: Callable[..., Any], iterable: Iterable[Any], chunksize: int | None = 1
    ) -> UnorderedIMapIterator:
        """Return an iterator over the values of a function, in the order in which chunks end. See `imap`."""
        return self._imap(UnorderedIMapIterator, func, iterable, chunksize)

    def close(self) -> None:
        """Take no further calls, and let the processes end after those that the pool has got. Does not wait."""
        if self._state == "RUN":
            for iterator in list(self._open):
                iterator.submit_all()
            self._state = "CLOSE"
            self._workers.close()

    def terminate(self) -> None:
        """End all processes at once. Results that are not ready fail with ActorDiedError."""
        self._state = "TERMINATE"
        self._workers.kill()

    def join(self) -> None:
        """Wait until all processes have ended and all callbacks have run, after `close` or `terminate`.

        Raises:
            ValueError: The pool is neither closed nor terminated.
        """
        if self._state == "RUN":
            raise ValueError("Pool is still running: call close() or terminate() before join()")
        self._workers.join()
        self._callbacks.join()

    def __enter__(self) -> Self:
        self._check_running()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def __reduce__(self) -> NoReturn:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __repr__(self) -> str:
        return f"<Pool state={self._state} processes={self._workers.count}>"

    def _map(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int | None,
        callback: Callback | None,
        error_callback: Callback | None,
        form: Form,
    ) -> AsyncResult:
        self._check_running()
        items = list(iterable)
        size = max(1, -(-len(items) // (_CHUNKS * self._workers.count))) if chunksize is None else _size(chunksize)
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        refs = [self._workers.submit(func, chunk, form) for chunk in chunks]
        return self._result(refs, callback, error_callback, is_single=False)

    def _imap(
        self, kind: type[Iterator], func: Callable[..., Any], iterable: Iterable[Any], chunksize: int | None
    ) -> Iterator:
        self._check_running()
        iterator = kind(self._workers, func, iterable, _size(1 if chunksize is None else chunksize))
        self._open.add(iterator)
        return iterator

    def _result(
        self,
        refs: list[Any],
        callback: Callback | None,
        error_callback: Callback | None,
        *,
        is_single: bool,
    ) -> AsyncResult:
        result = AsyncResult(refs, is_single=is_single)
        self._callbacks.add(result, callback, error_callback)
        return result

    def _check_running(self) -> None:
        if self._state != "RUN":
            raise ValueError("Pool not running: it was closed or terminated. Make another one")


def _check(processes: int | None, initializer: object, maxtasksperchild: int | None) -> None:
    if processes is not None and (isinstance(processes, bool) or not isinstance(processes, int)):
        raise TypeError(f"The number of processes must be an int. Got: {processes!r:.80}")
    if processes is not None and processes < 1:
        raise ValueError(f"Processes in the pool must be >0: it needs at least one. Got: {processes}")
    if initializer is not None and not callable(initializer):
        raise TypeError(f"initializer must be a callable. Got: {initializer!r:.80}")
    if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild < 1):
        raise ValueError(f"maxtasksperchild must be a positive int or None. Got: {maxtasksperchild!r:.80}")


def _size(chunksize: int) -> int:
    if chunksize < 1:
        raise ValueError(f"Chunksize must be 1+, not {chunksize}")
    return chunksize
