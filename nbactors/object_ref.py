"""`ObjectRef`: a reference to a value that may not be there yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nbactors.views import description

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures
    from collections.abc import Callable, Generator

T = TypeVar("T")


class ObjectRef(Generic[T]):
    """A reference to the result of a call, or to a value that was `put`.

    A process has one ObjectRef per object, however often it is passed around, so references compare and hash by
    identity. The object lives as long as a reference to it lives in any process.

    It can be awaited on any event loop of any thread, and stands for a future in `asyncio.wait`, `gather` and the like.

    Made by the engine alone. Follows Ray's `ObjectRef`.
    """

    __slots__ = ("__weakref__", "_entry", "_watches")

    _entry: Any
    """The engine's own record of the object. Has `id: bytes`, `reduce(ref)`, and the future-like methods below."""

    _watches: dict[Callable[..., Any], Any]
    """What `add_done_callback` was given; not there before its first use."""

    def __init__(self, entry: Any) -> None:
        self._entry = entry

    def binary(self) -> bytes:
        """Return the object's id, 28 bytes."""
        return self._entry.id  # type: ignore[no-any-return]

    def hex(self) -> str:
        """Return the object's id as 56 hexadecimal digits."""
        return self.binary().hex()

    def task_id(self) -> bytes:
        """Return the id of the task that makes the object, 24 bytes."""
        return self.binary()[:24]

    def is_nil(self) -> bool:
        """Return False: nbactors makes no nil references."""
        return False

    def __await__(self) -> Generator[Any, None, T]:
        """Wait on the running event loop; gives the value or raises what `get` raises. Cancelling cancels no call."""
        return self.as_future().__await__()

    def as_future(self) -> asyncio.Future[T]:
        """Return a future of the running event loop that gets the value. Cancelling it cancels no call."""
        return self._entry.as_future()  # type: ignore[no-any-return]

    def future(self) -> concurrent.futures.Future[T]:
        """Return a future for threads that gets the value. Cancelling it cancels no call.

        The value is unpickled, and callbacks run, on a thread of the runtime: they must not block.
        """
        return self._entry.future()  # type: ignore[no-any-return]

    # What `asyncio.wait` asks of a future, so that it takes references on every version of Python.

    def done(self) -> bool:
        """Return whether there is a value or an error, so that `get` would not wait."""
        return self._entry.done()  # type: ignore[no-any-return]

    def cancelled(self) -> bool:
        """Return False: a call that was cancelled has an error like any other that failed."""
        return False

    def result(self) -> T:
        """Return the value or raise what `get` raises; does not wait.

        Raises:
            InvalidStateError: It is not there yet.
        """
        return self._entry.result()  # type: ignore[no-any-return]

    def exception(self) -> BaseException | None:
        """Return what `get` would raise, None if that is a value; does not wait.

        Raises:
            InvalidStateError: It is not there yet.
        """
        return self._entry.exception()  # type: ignore[no-any-return]

    def add_done_callback(self, callback: Callable[[ObjectRef[T]], object], *, context: Any = None) -> None:
        """Call `callback(ref)` on the running event loop once `done()`."""
        try:
            watches = self._watches
        except AttributeError:
            watches = self._watches = {}
        watches[callback] = self._entry.call_when_done(lambda: callback(self), context)

    def remove_done_callback(self, callback: Callable[[ObjectRef[T]], object]) -> int:
        """Undo `add_done_callback`; returns how many were removed."""
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
