"""`ObjectRef`: a reference to a value that may not be there yet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from nbactors.frontend import redirected
from nbactors.views import description

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures
    from collections.abc import Callable, Generator

    from nbactors.ray_names.id_classes import JobID, TaskID

T = TypeVar("T")

_SIZE = 28
_NIL = b"\xff" * _SIZE


class ObjectRef(Generic[T]):
    """A reference to the result of a call, or to a value that was `put`. Created by the engine. Any thread.

    A process has at most one ObjectRef per object, so references compare and hash by identity. The object lives as long
    as any process has a reference to it. A reference can be awaited on the event loop of any thread, and
    `asyncio.wait`, `gather` and similar functions accept it as a future. Example: `value = await counter.get.remote()`.
    Source: Ray's pages "Objects" and "AsyncIO / Concurrency for Actors".
    """

    __slots__ = ("__weakref__", "_entry", "_watches")

    _entry: Any
    """The engine's record of the object, a `nbactors.engine.reference_records.ObjectRecord`."""

    _watches: dict[Callable[..., Any], Any]
    """The callbacks of `add_done_callback`, each with its watch. The attribute is set at the first callback."""

    _engine: ClassVar[Callable[[], Any]]
    """Returns the current engine. Set by `nbactors.engine`, a higher room."""

    def __init__(self, entry: Any) -> None:
        self._entry = entry

    def binary(self) -> bytes:
        """Return the object's id, 28 bytes."""
        return self._entry.id  # type: ignore[no-any-return]

    def hex(self) -> str:
        """Return the object's id as 56 hexadecimal digits."""
        return self.binary().hex()

    @classmethod
    def from_binary(cls, binary: bytes) -> ObjectRef[Any]:
        """Return this process's reference to the object with an id, as from `binary()`. Opens a session if need be.

        An id does not keep an object alive: somebody must have a reference to it. If nobody has, or if the object is
        of another node, `get` raises an ObjectLostError at once. An id of another process's object asks that process;
        on a Ray cluster only a process that has a reference to it knows the object.

        Raises:
            TypeError: `binary` is not bytes.
            ValueError: It has not 28 bytes.
        """
        if not isinstance(binary, bytes):
            raise TypeError(f"Unsupported type: {type(binary)}, expected bytes")
        if len(binary) != _SIZE:
            raise ValueError(f"ID string needs to have length {_SIZE}, got {len(binary)}")
        return cls._engine().find_object(binary)  # type: ignore[no-any-return]

    @classmethod
    def from_hex(cls, hex_id: str) -> ObjectRef[Any]:
        """Return the reference of `from_binary` for an id in hexadecimal digits, as from `hex()`. Ray refuses it.

        Raises:
            TypeError: `hex_id` is not a str.
            ValueError: It has other characters, or not 56 of them.
        """
        if not isinstance(hex_id, str):
            raise TypeError(f"Unsupported type: {type(hex_id)}, expected str")
        return cls.from_binary(bytes.fromhex(hex_id))

    @classmethod
    def nil(cls) -> ObjectRef[Any]:
        """Return the reference that names no object: all bytes of its id are 0xff, and `get` raises at once."""
        return cls.from_binary(_NIL)

    @classmethod
    def from_random(cls) -> ObjectRef[Any]:
        """Return a reference with a new id. There is no object, so `get` raises at once."""
        return cls.from_binary(os.urandom(_SIZE))

    @classmethod
    def size(cls) -> int:
        """Return the number of bytes of an object's id: 28."""
        return _SIZE

    def task_id(self) -> TaskID:
        """Return the id of the call that creates the object, 24 bytes."""
        from nbactors.ray_names.id_classes import TaskID  # noqa: PLC0415 - few programs use it

        return TaskID(self.binary()[:24])

    def job_id(self) -> JobID:
        """Return the id of the session that this process works for. Ray's ids contain it, those of nbactors do not.

        Raises:
            ValueError: This is `nil()`.
        """
        from nbactors.ray_names.id_classes import JobID  # noqa: PLC0415 - few programs use it

        if self.is_nil():
            raise ValueError("This ObjectRef is nil: it is of no call, and so of no session.")
        return JobID(type(self)._engine().runtime_facts().job_id)

    def owner_address(self) -> bytes:
        """Return the id of the process that owns the object; empty for `nil()`.

        It is that of `get_runtime_context().get_worker_id()` there. Ray returns a message in its own format.
        """
        return b"" if self.is_nil() else self._entry.owner

    def call_site(self) -> str:
        """Return "", as Ray does unless it is told to record the places in the code that make references."""
        return ""

    def tensor_transport(self) -> None:
        """Return None: all values travel through the object store."""

    def is_nil(self) -> bool:
        """Return whether this is `nil()`, which names no object."""
        return self.binary() == _NIL

    def __await__(self) -> Generator[Any, None, T]:
        """Wait on the running event loop; return the value or raise the error of `get`. See `as_future` on cancel."""
        if redirected.stdout is not None and redirected.has_any():
            return self._value_after_lines().__await__()
        return self.as_future().__await__()

    async def _value_after_lines(self) -> T:
        """Wait for the value, and then for the lines of the call, since a block of the user's code takes these."""
        try:
            value = await self.as_future()
        except Exception:
            await self._lines()
            raise
        await self._lines()
        return value

    async def _lines(self) -> None:
        """Wait for the lines of calls that have ended. The event loop goes on meanwhile."""
        import asyncio  # noqa: PLC0415 - whoever awaits has imported it

        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, type(self)._engine().catch_up, redirected.WAIT_S)

    def as_future(self) -> asyncio.Future[T]:
        """Return a future of the running event loop for the value. Cancelling the future does not cancel the call."""
        return self._entry.as_future()  # type: ignore[no-any-return]

    def future(self) -> concurrent.futures.Future[T]:
        """Return a future of `concurrent.futures` for the value. Cancelling the future does not cancel the call.

        A thread of the runtime unpickles the value and runs the future's callbacks: these must not block.
        """
        return self._entry.future()  # type: ignore[no-any-return]

    # `asyncio.wait` uses the following methods of a future. Without them some versions of Python refuse references.

    def done(self) -> bool:
        """Return whether the value or an error is ready, so that `get` would not wait."""
        return self._entry.done()  # type: ignore[no-any-return]

    def cancelled(self) -> bool:
        """Return False. A cancelled call has an error, `TaskCancelledError`, as every failed call has."""
        return False

    def result(self) -> T:
        """Return the value or raise the error of `get`, without waiting.

        Raises:
            InvalidStateError: Neither the value nor an error is ready.
        """
        return self._entry.result()  # type: ignore[no-any-return]

    def exception(self) -> BaseException | None:
        """Return the error that `get` would raise, or None if there is a value, without waiting.

        Raises:
            InvalidStateError: Neither the value nor an error is ready.
        """
        return self._entry.exception()  # type: ignore[no-any-return]

    def add_done_callback(self, callback: Callable[[ObjectRef[T]], object], *, context: Any = None) -> None:
        """Call `callback(ref)` on the running event loop when the reference is `done()`."""
        try:
            watches = self._watches
        except AttributeError:
            watches = self._watches = {}
        watches[callback] = self._entry.call_when_done(lambda: callback(self), context)

    def remove_done_callback(self, callback: Callable[[ObjectRef[T]], object]) -> int:
        """Undo `add_done_callback(callback)`. Return 1 if the callback was removed, else 0."""
        watch = getattr(self, "_watches", {}).pop(callback, None)
        if watch is None:
            return 0
        watch.cancel()
        return 1

    def __repr__(self) -> str:
        return f"ObjectRef({self.hex()})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(description.reference(self._entry, self.hex()).text)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return description.reference(self._entry, self.hex()).bundle()

    def __reduce__(self) -> tuple[Any, ...]:
        return self._entry.reduce(self)  # type: ignore[no-any-return]

    def __copy__(self) -> ObjectRef[T]:
        return self

    def __deepcopy__(self, memo: object) -> ObjectRef[T]:
        return self

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Any:
        raise TypeError("an ObjectRef is not iterable: call get(ref) first and iterate over the value")
