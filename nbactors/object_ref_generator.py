"""`ObjectRefGenerator`: the references that a generator's call gives, one for each value that it yields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from nbactors.views import description

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbactors.object_ref import ObjectRef

T = TypeVar("T")


class ObjectRefGenerator(Generic[T]):
    """An iterator, plain and asynchronous, over the references of what a remote generator yields.

    A reference is there as soon as its value has been yielded. Where the generator raises, the error is the value of
    one more reference, the last. When the last copy of this object is gone (in any process that it was passed to), the
    generator is closed and what was not read is freed. Any thread; several readers share one sequence.

    Made by the engine alone. Follows Ray's class of that name.
    """

    __slots__ = ("__weakref__", "_completed", "_entry")

    _entry: Any
    """The engine's own record of the stream. Its `state` tells `wait` whether there is something to read."""

    def __init__(self, stream: Any, completed: ObjectRef[Any]) -> None:
        self._entry = stream
        self._completed = completed

    def __iter__(self) -> ObjectRefGenerator[T]:
        return self

    def __next__(self) -> ObjectRef[T]:
        """Return the next reference; wait until its value has been yielded.

        Raises:
            StopIteration: The generator has ended, or was closed.
        """
        return self._entry.next(None)  # type: ignore[no-any-return]

    def __aiter__(self) -> ObjectRefGenerator[T]:
        return self

    async def __anext__(self) -> ObjectRef[T]:
        """Like `__next__`, without blocking the event loop.

        Raises:
            StopAsyncIteration: The generator has ended, or was closed.
        """
        return await self._entry.anext()  # type: ignore[no-any-return]

    def _next_sync(self, timeout_s: float | None = None) -> ObjectRef[T]:
        """Return the next reference, under Ray's name for it.

        Args:
            timeout_s: Seconds to wait at most.

        Raises:
            StopIteration: The generator has ended, or was closed.
            GetTimeoutError: Nothing was yielded in time.
        """
        return self._entry.next(timeout_s)  # type: ignore[no-any-return]

    def next_ready(self) -> bool:
        """Return whether there is a reference to read now; False once all were read, see `is_finished`."""
        self._entry.request()
        return bool(self._entry.next_ready()) and not self._entry.is_finished()

    def is_finished(self) -> bool:
        """Return whether the generator has ended and everything was read."""
        self._entry.request()
        return bool(self._entry.is_finished())

    def completed(self) -> ObjectRef[None]:
        """Return a reference that is ready when the generator has ended.

        Its value is None, as in Ray also where the generator has raised: that error is the last reference's. It is
        the error where the generator was cancelled, could not begin, or lost its process.
        """
        return self._completed

    def task_id(self) -> bytes:
        """Return the id of the task that yields, 24 bytes."""
        return self._completed.task_id()

    def close(self) -> None:
        """Close the generator and free what was not read. `next` raises StopIteration from then on."""
        self._entry.close()

    async def aclose(self) -> None:
        """Like `close`."""
        self._entry.close()

    def send(self, value: Any) -> NoReturn:
        """Refuse, as Ray does: the generator runs ahead of who reads it.

        Raises:
            NotImplementedError: Always.
        """
        raise _not_served("send")

    def throw(self, *error: Any) -> NoReturn:
        """Refuse, see `send`."""
        raise _not_served("throw")

    async def asend(self, value: Any) -> NoReturn:
        """Refuse, see `send`."""
        raise _not_served("asend")

    async def athrow(self, *error: Any) -> NoReturn:
        """Refuse, see `send`."""
        raise _not_served("athrow")

    def __reduce__(self) -> tuple[Any, ...]:
        return self._entry.reduce(self._completed)  # type: ignore[no-any-return]

    def __copy__(self) -> ObjectRefGenerator[T]:
        return self

    def __deepcopy__(self, memo: object) -> ObjectRefGenerator[T]:
        return self

    def __repr__(self) -> str:
        return f"ObjectRefGenerator({self._completed.hex()})"

    def _description(self) -> description.Description:
        completed = self._completed
        return description.generator(self._entry, completed._entry, completed.hex())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self._description().text)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self._description().bundle()


def _not_served(verb: str) -> NotImplementedError:
    return NotImplementedError(
        f"`gen.{verb}` is not supported. The generator runs ahead of who reads it: call another method of the actor to "
        "tell it something, or close() the generator."
    )


class DynamicObjectRefGenerator(Generic[T]):
    """The value of a call with ``num_returns="dynamic"``: the references of all that was yielded.

    Follows Ray's class of that name.
    """

    def __init__(self, refs: list[ObjectRef[T]]) -> None:
        self._refs = refs

    def __iter__(self) -> Iterator[ObjectRef[T]]:
        return iter(self._refs)

    def __len__(self) -> int:
        return len(self._refs)

    def __repr__(self) -> str:
        return f"DynamicObjectRefGenerator({len(self._refs)} references)"
