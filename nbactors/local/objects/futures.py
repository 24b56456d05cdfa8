"""Objects as futures: behind a reference's `await`, `as_future` and `future`. Imported at their first use.

An object becomes ready on the leader's thread, but an asyncio future has to be set on its loop's thread. A `Handover`
passes all objects that become ready at the same time with one wake-up of the loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.frontend.user_code import lets_through
from nbactors.local.objects.object_life import READY

if TYPE_CHECKING:
    from nbactors.local.objects.home import Awaited, Source

_handovers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Handover] = weakref.WeakKeyDictionary()


class Handover:
    """Runs callbacks on one loop's thread, many of them per wake-up of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._due: deque[Callable[[], None]] = deque()
        self._scheduled = False

    @classmethod
    def to(cls, loop: asyncio.AbstractEventLoop) -> Handover:
        """Return the handover to a loop; make it if there is none."""
        found = _handovers.get(loop)
        if found is None:
            found = _handovers[loop] = cls(loop)
        return found

    def post(self, callback: Callable[[], None]) -> None:
        """Run `callback` on the loop's thread soon. Any thread."""
        self._due.append(callback)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        loop = self._loop()
        try:
            if loop is not None:
                loop.call_soon_threadsafe(self._drain)
        except RuntimeError:  # the loop is closed: none of its coroutines waits any more
            self._due.clear()

    def _drain(self) -> None:
        # The flag is cleared first: a callback that is appended from here on schedules another `_drain`.
        self._scheduled = False
        due = self._due
        try:
            while due:
                try:
                    callback = due.popleft()
                except IndexError:
                    return
                try:
                    callback()
                except Exception as error:  # noqa: BLE001 - user code's error must not hold up the other callbacks
                    loop = self._loop()
                    if loop is not None:
                        loop.call_exception_handler({"message": f"error in {callback!r}", "exception": error})
        finally:
            if due:  # `sys.exit()` in a callback has ended the loop, as asyncio does; the rest runs if the loop does
                self._schedule()


class _Wake:
    """A listener that runs a callback on a loop's thread, unless `cancel` comes before."""

    __slots__ = ("_callback", "_handover")

    def __init__(self, handover: Handover, callback: Callable[[], None]) -> None:
        self._handover = handover
        self._callback: Callable[[], None] | None = callback

    def ready(self, entry: Any) -> None:
        self._handover.post(self._run)

    @lets_through
    def _run(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    def cancel(self) -> None:
        self._callback = None


def as_future(entry: Awaited) -> asyncio.Future[Any]:
    """Return a future of the running loop that gets the entry's value.

    Raises:
        RuntimeError: No loop runs on this thread.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    if entry.state < READY:
        entry.request()
        wake = _AsyncFuture(Handover.to(loop), future, entry)
        # The callback comes after the waiter: cancelled in between, the future still calls `leave`.
        if entry.add_waiter(wake):
            future.add_done_callback(wake.leave)
            return future
    _settle(future, entry)
    return future


def _settle(future: asyncio.Future[Any] | concurrent.futures.Future[Any], entry: Awaited) -> None:
    if future.done():  # user code has cancelled or settled it
        return
    try:
        value = entry.result()
    except BaseException as error:  # noqa: BLE001 - the future raises everything that `get` would raise
        future.set_exception(_raisable(error))
    else:
        future.set_result(value)


def _raisable(error: BaseException) -> BaseException:
    """Return an exception that a future accepts in place of `error`: Python accepts no StopIteration in futures."""
    if isinstance(error, StopIteration):
        plain: BaseException = getattr(error, "_plain", None) or RuntimeError(f"the call raised {error!r}")
        return plain
    return error


class _Watch(_Wake):
    """A `_Wake` that `cancel` also removes from its entry."""

    __slots__ = ("_entry",)

    def __init__(self, handover: Handover, callback: Callable[[], None], entry: Awaited) -> None:
        super().__init__(handover, callback)
        self._entry = entry

    def cancel(self) -> None:
        super().cancel()
        self._entry.remove_waiter(self)


class _AsyncFuture(_Watch):
    """A listener that settles a future on its loop's thread, and is removed from the entry with the future's end."""

    __slots__ = ("_future",)

    def __init__(self, handover: Handover, future: asyncio.Future[Any], entry: Awaited) -> None:
        super().__init__(handover, self._settle, entry)
        self._future = future

    def _settle(self) -> None:
        future = self._future
        future.remove_done_callback(self.leave)  # calling it would cost a round of the loop
        _settle(future, self._entry)

    def leave(self, future: asyncio.Future[Any]) -> None:
        """Stop listening. If an interrupt of the cell has cancelled the future, cancel the call. The loop's thread."""
        self.cancel()
        if future.cancelled():
            _cancel_if_interrupted(self._entry)


def _cancel_if_interrupted(awaited: Any) -> None:
    """Cancel the call of an entry or stream if an interrupt of the cell has ended its `await`. The loop's thread."""
    if INTERRUPTS.is_passing:
        interruption = awaited.home.waiting.interruption
        if interruption is not None and interruption.cancels:
            interruption.cancel_one(awaited)


class _ThreadFuture:
    """A listener that settles a `concurrent.futures` future, on the thread that has made the entry final.

    The future's callbacks, which are user code, run within `ready`. `concurrent.futures` logs an `Exception` of theirs
    itself. Other exceptions, such as SystemExit, are reported here: they would end the process's only reading thread.
    """

    __slots__ = ("_future",)

    def __init__(self, future: concurrent.futures.Future[Any]) -> None:
        self._future = future

    def leave(self, entry: Awaited) -> None:
        """Stop listening: the future is done."""
        entry.remove_waiter(self)

    def ready(self, entry: Awaited) -> None:
        future = self._future
        if future.cancelled():
            return
        try:
            _settle_in_thread(future, entry)
        except concurrent.futures.InvalidStateError:  # user code has settled it at this moment
            pass
        except BaseException:  # noqa: BLE001 - raised by a callback
            entry.home.reactor.complain(future)


@lets_through
def _settle_in_thread(future: concurrent.futures.Future[Any], entry: Awaited) -> None:
    if future.running() or future.done() or future.set_running_or_notify_cancel():
        _settle(future, entry)


def thread_future(entry: Awaited) -> concurrent.futures.Future[Any]:
    """Return a `concurrent.futures` future that gets the entry's value. Any thread."""
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    listener = _ThreadFuture(future)
    if entry.state < READY:
        entry.request()
    if entry.add_waiter(listener):
        future.add_done_callback(lambda _: listener.leave(entry))
    else:
        listener.ready(entry)
    return future


def call_when_done(entry: Awaited, callback: Callable[[], None], context: contextvars.Context | None) -> _Wake:
    """Run `callback` on the running loop when the entry is final; `cancel()` of the returned handle prevents that."""
    handover = Handover.to(asyncio.get_running_loop())
    run = callback if context is None else lambda: context.run(callback)
    wake = _Watch(handover, run, entry)
    if entry.state < READY:
        entry.request()
    if not entry.add_waiter(wake):
        wake.ready(entry)
    return wake


async def until_ready(source: Source) -> None:
    """Wait on the running loop until an entry is final, or a stream has something to read or has ended."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    listener = _Wake(Handover.to(loop), wake)
    if source.add_waiter(listener):
        try:
            await future
        except asyncio.CancelledError:
            _cancel_if_interrupted(source)
            raise
        finally:
            source.remove_waiter(listener)  # still there if this coroutine was cancelled
