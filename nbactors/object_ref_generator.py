"""`ObjectRefGenerator`: the references that a call of a generator returns, one for each yielded value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from nbactors.views import description

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbactors.object_ref import ObjectRef
    from nbactors.ray_names.id_classes import TaskID

T = TypeVar("T")


class ObjectRefGenerator(Generic[T]):
    """A synchronous and asynchronous iterator over the references to the values that a remote generator yields.

    A reference can be read as soon as its value was yielded. If the generator raises an error, one more reference
    follows, the last, and `get` of it raises the error. Copies of this object in other processes read the same
    sequence: each reference goes to one reader. When the last copy is deleted, the generator is closed and the unread
    values are freed. Any thread. Created by the engine. Example: `for ref in actor.items.remote(): print(get(ref))`.
    Source: Ray's page "Ray Generators".
    """

    __slots__ = ("__weakref__", "_completed", "_entry")

    _entry: Any
    """The engine's record of the stream, a `nbactors.engine.reference_records.StreamRecord`."""

    def __init__(self, stream: Any, completed: ObjectRef[Any]) -> None:
        self._entry = stream
        self._completed = completed

    def __iter__(self) -> ObjectRefGenerator[T]:
        return self

    def __next__(self) -> ObjectRef[T]:
        """Wait until the next value was yielded, and return its reference.

        Raises:
            StopIteration: The generator has ended, or was closed.
        """
        return self._entry.next(None)  # type: ignore[no-any-return]

    def __aiter__(self) -> ObjectRefGenerator[T]:
        return self

    async def __anext__(self) -> ObjectRef[T]:
        """Do the same as `__next__`, without blocking the event loop.

        Raises:
            StopAsyncIteration: The generator has ended, or was closed.
        """
        return await self._entry.anext()  # type: ignore[no-any-return]

    def _next_sync(self, timeout_s: float | None = None) -> ObjectRef[T]:
        """Do the same as `__next__`, with a time limit in seconds. Ray has this method, too.

        Raises:
            StopIteration: The generator has ended, or was closed.
            GetTimeoutError: The generator has yielded no value within `timeout_s`.
        """
        return self._entry.next(timeout_s)  # type: ignore[no-any-return]

    def next_ready(self) -> bool:
        """Return whether there is a reference to read now. False also after the last one: see `is_finished`."""
        self._entry.request()
        return bool(self._entry.next_ready()) and not self._entry.is_finished()

    def is_finished(self) -> bool:
        """Return whether the generator has ended and all its references were read."""
        self._entry.request()
        return bool(self._entry.is_finished())

    def completed(self) -> ObjectRef[None]:
        """Return a reference that becomes ready when the generator ends.

        Its value is None, as in Ray also if the generator has raised an error, since the last reference has that error.
        `get` of it raises an error if the generator was cancelled, could not start, or lost its process.
        """
        return self._completed

    def task_id(self) -> TaskID:
        """Return the id of the generator's call, 24 bytes."""
        return self._completed.task_id()

    def close(self) -> None:
        """Close the generator and free the unread values. From then on `next` raises StopIteration."""
        self._entry.close()

    async def aclose(self) -> None:
        """Do the same as `close`."""
        self._entry.close()

    def send(self, value: Any) -> NoReturn:
        """Refuse, as Ray does: the generator runs ahead of its reader, so the value would arrive late.

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
    """The value of a call with ``num_returns="dynamic"``: an iterable of the references to all yielded values.

    Any thread. Example: `refs = list(get(ref))`. Source: Ray's page "Ray Generators".
    """

    def __init__(self, refs: list[ObjectRef[T]]) -> None:
        self._refs = refs

    def __iter__(self) -> Iterator[ObjectRef[T]]:
        return iter(self._refs)

    def __len__(self) -> int:
        return len(self._refs)

    def __repr__(self) -> str:
        return f"DynamicObjectRefGenerator({len(self._refs)} references)"
