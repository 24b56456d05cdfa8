"""The contract between an engine and what stands above it: what an ObjectRef and a generator ask of their records.

An engine makes a record for each object and each generator that its process refers to. The public classes hold it as
`_entry`; progress bars, panels and views use it, too. Methods: any thread; none waits unless it says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from nbactors.views.summaries import ObjectFacts, StreamFacts

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

    from nbactors.object_ref import ObjectRef


class ObjectRecord(Protocol):
    """What an engine knows of an object."""

    @property
    def id(self) -> bytes:
        """The object's id, 28 bytes."""

    def reduce(self, ref: ObjectRef[Any]) -> tuple[Any, ...]:
        """Return what pickles `ref`, and note that the reference travels."""

    def request(self) -> None:
        """Have the value come to this process, where it does not come unasked."""

    def done(self) -> bool:
        """Return whether the object is final: `get` would not wait for its call."""

    def failed(self) -> bool:
        """Return whether the object is final and `get` would raise."""

    def result(self) -> Any:
        """Return the value, or raise the error; InvalidStateError before the object is final."""

    def exception(self) -> BaseException | None:
        """Return the error, None if there is a value; raise InvalidStateError before the object is final."""

    def as_future(self) -> asyncio.Future[Any]:
        """Return a future of the running event loop."""

    def future(self) -> concurrent.futures.Future[Any]:
        """Return a future of `concurrent.futures`."""

    def call_when_done(self, callback: Callable[[], None], context: Any) -> Any:
        """Call `callback` on the running event loop when the object is final. Return what has a method `cancel()`."""

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the object is final: at once, or on a thread of the engine. It must not block."""

    def facts(self) -> ObjectFacts:
        """Return a summary for views."""


class StreamRecord(Protocol):
    """What an engine knows of a generator that this process reads."""

    def next(self, timeout: float | None) -> ObjectRef[Any]:
        """Return the next reference. Waits for it, for `timeout` seconds at most.

        Raises:
            StopIteration: The generator has ended, or was closed.
            GetTimeoutError: There was none in time.
        """

    async def anext(self) -> ObjectRef[Any]:
        """Return the next reference; raise StopAsyncIteration at the end."""

    def request(self) -> None:
        """Have the next reference come to this process, where it does not come unasked."""

    def next_ready(self) -> bool:
        """Return whether a reader would find a reference, or the end, without waiting."""

    def is_finished(self) -> bool:
        """Return whether the generator has ended and all its references were read."""

    def close(self) -> None:
        """Close the generator, and free the unread values."""

    def facts(self) -> StreamFacts:
        """Return a summary for views."""

    def reduce(self, completed: ObjectRef[Any]) -> tuple[Any, ...]:
        """Return what pickles the generator; TypeError where it stays in its process."""
