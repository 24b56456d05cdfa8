"""`PendingCall`: a call or task, at its submitter."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from nbactors.definitions.metadata import DYNAMIC
from nbactors.local.connections.connection import Sent
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.held import Held
from nbactors.local.objects.object_life import READY as READY_OBJECT
from nbactors.local.objects.stream_inbox import Inbox
from nbactors.local.objects.streams import Reader
from nbactors.local.submitting.arguments import Arguments
from nbactors.local.submitting.call_life import (
    FAIL,
    FAILED,
    FINISHED,
    QUEUED,
    READY,
    REPLY,
    RETURN,
    SEND,
    SENT,
    TABLE,
    WAITING,
)
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.object_ref_generator import ObjectRefGenerator
from nbactors.speedups.caller import begin, go_out
from nbactors.views.summaries import CallFacts

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection
    from nbactors.local.objects.home import Home
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.reactor.timers import Timer
    from nbactors.local.submitting.call_queue import CallQueue
    from nbactors.local.task_events.pending_events import PendingEvents

_READY, _SEND, _REPLY, _FAIL, _RETURN = TABLE[READY], TABLE[SEND], TABLE[REPLY], TABLE[FAIL], TABLE[RETURN]


class PendingCall(Sent):
    """A call that has not returned. It keeps its target, its arguments and the entries of its results alive.

    Attributes:
        hold: Keeps the actor alive until the call has ended; None for a task, or if this process has only weak handles.
        number: The call's number, from which the ids of its results are made.
        entries: One entry per return value.
        target: The target that sends the call: an actor's link, or the queue of a kind of task.
        message: The message to send; None if it depends on the receiver.
        arguments: The arguments; None if `message` or `details` holds them.
        awaited: The argument that the call waits for now. It waits for one argument after the other.
        queue: The queue in which the call waits to be sent.
        retries: How often the call may be tried again after a crash or a retriable exception; -1 for any number.
        details: The parts from which the target makes the message, also for another try.
        group: The actor's concurrency group that runs the call.
        origin: The cell that the call comes from, see `messages.Call`.
        canceled: How the call was cancelled, None if it was not.
        parent: In a worker, the job that has made the call.
        timeout_s: Seconds that the call may take, 0 for any time.
        timer: Cancels the call after `timeout_s`.
        stream: The queue in which a generator's values arrive.
        watcher: Is told of the answer, since it has reported the call; None for most calls.
        submitted: When the call was made, on the monotonic clock. 0 if it has no task events.
        parent_id: The id of the job that has made the call; empty for none.
        connection: The connection that the call was sent on.
    """

    __slots__ = (
        "__weakref__",
        "arguments",
        "awaited",
        "canceled",
        "details",
        "entries",
        "group",
        "hold",
        "message",
        "number",
        "origin",
        "parent",
        "parent_id",
        "queue",
        "retries",
        "state",
        "stream",
        "submitted",
        "target",
        "timeout_s",
        "timer",
        "watcher",
    )

    def __init__(
        self, number: int, entries: tuple[Entry, ...], target: Any, message: Any, arguments: Arguments | None = None
    ) -> None:
        self.number = number
        self.entries = entries
        self.target = target
        self.message = message
        self.arguments = arguments
        self.awaited: Entry | None = None
        self.queue: CallQueue[PendingCall] | None = None
        self.retries = 0
        self.details: Any = None
        self.state = QUEUED
        self.hold: object = None
        self.group = ""
        self.canceled: CancelMode | None = None
        self.timeout_s = 0.0
        self.timer: Timer | None = None
        self.parent: Any = None
        self.parent_id = b""
        self.submitted = 0.0
        self.watcher: PendingEvents | None = None
        self.origin = 0
        self.stream: Inbox | None = None
        self.connection = None
        for entry in entries:
            entry.call = self

    def await_arguments(self) -> None:
        """Begin to wait for the references among the arguments. A step of the target."""
        if self.arguments is None:
            return
        missing = self.arguments.missing()
        if missing:
            for entry in missing:
                entry.request()
            self.state = WAITING
            self.settled()

    def ready(self, entry: Entry) -> None:
        """Tell the target that the awaited argument is final. The thread that has made it final."""
        target = self.target
        if target is not None:
            target.on_argument(self)

    def settled(self) -> bool:
        """Return whether all arguments are final; if one is not, wait for that one. A step of the target."""
        if self.state == WAITING:
            awaited, arguments = self.awaited, self.arguments
            if awaited is not None and awaited.state < READY_OBJECT:
                return False
            assert arguments is not None
            while (entry := arguments.pending()) is not None:
                if entry.add_waiter(self):
                    self.awaited = entry  # after `add_waiter`, so that an awaited entry is sure to call `ready`
                    return False
            self.awaited = None
            if self.state in _READY:
                self.state = _READY[self.state]
        return True

    def go_out(self, connection: Connection, message: Any, *, at_once: bool = False) -> None:
        """Send the call, which is in flight on the connection from now on. A step of the target.

        Args:
            connection: The connection to the worker.
            message: The message of the call.
            at_once: Whether to send at once, and not with the next flush.
        """
        if go_out is not None and go_out(self, connection, message, at_once):
            return
        calls = connection.in_flight.calls
        calls[self.number] = self
        try:
            (connection.send_now if at_once else connection.send)(message, sent=self)
        finally:
            # Else it was not sent, or a handler that has interrupted this thread has sent it on another connection.
            if self.connection is not connection:
                calls.pop(self.number, None)
        self.sent()
        if self.state > SENT:  # a handler that has interrupted this thread has handled the answer
            calls.pop(self.number, None)
        elif self.stream is not None:
            self.stream.resume(self)

    def sent(self) -> None:
        """Note that the call was sent."""
        if self.state in _SEND:  # no call follows until the store, see `local.reactor`
            self.state = _SEND[self.state]

    def return_to(
        self,
        queue: CallQueue[PendingCall],
        connection: Connection,
        answer: object = None,
        *,
        is_tried: bool = False,
        is_last: bool = False,
    ) -> None:
        """Put the call back into a queue, in one step, unless it is back already.

        Args:
            queue: The queue.
            connection: The connection that it comes back from. A handler has perhaps sent it anew on another one.
            answer: The answer because of which it is tried again; None if there is none. A handler has perhaps sent it
                anew for this answer.
            is_tried: Whether this counts as one of its tries.
            is_last: Whether the call goes behind all others; else it goes before them.
        """
        self.sent()
        put = queue.calls.append if is_last else queue.calls.appendleft
        in_flight = connection.in_flight
        # No call between this comparison and the stores: a handler may have seen the call sent anew, and answered.
        if (
            self.state in _RETURN
            and self.connection is connection
            and (answer is None or in_flight.retried is not answer)
        ):
            if answer is not None:
                in_flight.retried = answer
                if in_flight.answering is self:
                    in_flight.answering = None
            if is_tried and self.retries > 0:
                self.retries -= 1
            self.connection = None
            self.state = _RETURN[self.state]
            self.queue = queue
            put(self)

    def belong_to(self, parent: Any) -> None:
        """Register as a child of the job that has made the call, to be cancelled with it; None for no job."""
        self.parent = parent
        if parent is not None:
            self.parent_id = parent.task_id
            fresh: dict[PendingCall, None] = {}
            if parent.children is None:  # this comparison and the store are one step
                parent.children = fresh
            parent.children[self] = None

    def finish(self) -> None:
        """End the call, whose results are there."""
        self.sent()  # the answer may be handled before the sending thread calls this
        if self.state in _REPLY:  # it is not in a repeated call, after an asynchronous exception
            self.state = _REPLY[self.state]
        self.release()

    def fail(self, error: bytes) -> None:
        """End the call with the pickled `error`. Idempotent."""
        before = self.state
        if before in (FINISHED, FAILED):
            # The end of a session fails queued calls; then the end of the session's connections fails them again.
            return
        self.state = _FAIL[before]
        try:
            self.queue = None
            if self.submitted and self.target is not None:
                self.target.note_failure(self, error)
            if self.stream is not None:
                self.stream.fail(Held(error, error=True))
            for entry in self.entries:
                entry.resolve(error, error=True)
            self.release()
        except BaseException:  # from outside: it is done once more
            self.state = before
            raise

    def release(self) -> None:
        """Drop the target and the arguments, and unregister from entry, timer and parent."""
        if self.awaited is not None:
            self.awaited.remove_waiter(self)
            self.awaited = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.parent is not None:
            self.parent.children.pop(self, None)
        self.arguments = None
        self.details = None
        self.message = None
        self.target = None
        self.hold = None
        self.parent = None
        for entry in self.entries:
            entry.call = None

    def facts(self) -> CallFacts:
        """Return a summary of the call. Any thread."""
        target = self.target
        facts: CallFacts = target.describe(self) if target is not None else CallFacts("", b"", False)
        return facts

    def tell(self, message: Any) -> None:
        """Send a message about the call to its worker, if the call was sent. Any thread."""
        connection = self.connection
        if connection is not None:
            connection.send(message)

    def cancel(self, mode: CancelMode, recursive: bool, timeout_s: float = 0.0) -> None:
        """Cancel the call, as far as that is possible; see `messages.Cancel`. Any thread."""
        target = self.target
        if target is not None:
            target.cancel(self, messages.Cancel(self.number, mode, recursive, timeout_s))

    def limit(self, reactor: Reactor, timeout_s: float) -> None:
        """Cancel the call after `timeout_s` seconds."""
        self.timeout_s = timeout_s
        call = weakref.ref(self)

        def time_is_up() -> None:
            late = call()
            if late is not None and late.canceled in (None, CancelMode.CANCEL):
                late.cancel(CancelMode.TIMEOUT, True, timeout_s)

        self.timer = reactor.call_later(timeout_s, time_is_up)

    def error_if_canceled(self, cancel: messages.Cancel) -> bytes:
        """Return the pickled error of a call that is cancelled before it has begun."""
        return failures.canceled(self.entries[0].id[:24] if self.entries else b"", cancel, "queued")


def make_call(
    home: Home, number: int, num_returns: int, target: Any, message: Any, arguments: Arguments | None
) -> tuple[PendingCall, Any]:
    """Make a call with its results' entries; return it and the value of `.remote()`. For generators see `open_stream`.

    The other arguments are as of `PendingCall`.
    """
    if num_returns == 1 or num_returns < 0:
        if begin is not None:
            return begin(home, number, target, message, arguments)
        entry = Entry(home, number)
        return PendingCall(number, (entry,), target, message, arguments), ObjectRef(entry)
    entries = tuple(Entry(home, number, index) for index in range(num_returns))
    result: list[ObjectRef[Any]] | None = [ObjectRef(entry) for entry in entries] if entries else None
    return PendingCall(number, entries, target, message, arguments), result


def open_stream(home: Home, call: PendingCall, num_returns: int, backpressure: int, result: Any) -> Any:
    """Give a generator's call a stream; return the value of `.remote()`."""
    call.stream = Inbox(home, call, backpressure, num_returns == DYNAMIC)
    if call.stream.is_collected:
        return result
    return ObjectRefGenerator(Reader(call.stream), result)
