"""`Record` and `StreamRecord`: what this engine knows of an object and of a generator."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any, Protocol

import ray

from nbactors import exceptions
from nbactors.cluster.common import current
from nbactors.cluster.common.pieces import Pieces
from nbactors.cluster.watcher import Dropped, Origin, Watcher
from nbactors.exceptions import out_of_band, reasons
from nbactors.exceptions.one_line import brief
from nbactors.exceptions.source_lines import raised
from nbactors.object_ref import ObjectRef
from nbactors.views.summaries import ObjectFacts, StreamFacts

ENDED = "Its session has been shut down; make the call again in this one."
"""The detail of the error of an object of a session that has ended."""


UNKNOWN = Origin()
"""The origin of an object that no known call makes, such as one that was put."""


class Home(Protocol):
    """What records ask of the objects of their engine. Methods: any thread."""

    watcher: Watcher
    pieces: Pieces
    on_interrupt: Callable[[KeyboardInterrupt, Sequence[Record]], None]
    is_over: bool

    def load(self, record: Record, timeout: float | None = 0) -> Any:
        """Return the value of an object, or raise its error."""

    def made(self, record: Record) -> ObjectRef[Any]:
        """Return a new reference."""


class Record:
    """An object of Ray's. See `nbactors.engine.reference_records.ObjectRecord`.

    Attributes:
        ref: Ray's reference.
        known: Returns the user's reference, of which there is at most one; None once it is gone.
        origin: The call that makes the object.
        serial: Which call of this process it is, from 1 on; 0 for a call of another one, and for none.
        submitted: When the call was submitted, in seconds since 1970; 0 if it is not listed.
        parent: Ray's id of the call that has made the call; empty for none.
        is_read: Whether code has read the value or the error.
        is_claimed: Whether code that gets the error has been given the object: another process, or a call that depends
            on it; or whether a `get` of several objects has raised the error of another one.
        verdict: The error that `get` raises, where this process knows it before Ray does: the call was stopped.
        end_verdict: The error that stands for a value: the call's generator was stopped, and Ray tells of its end only.
        settle: Waits until it is known whether `end_verdict` comes; None if no answer of the host is open.
        limit_s: The seconds that a task was given, once they are over; else 0.
        has_begun: Whether the call is known to have begun: the object is a value of its generator.
        is_watched: Whether a verdict may come.
        cancelled: Empty, or how the call was cancelled, see `reasons.not_ready`.
        is_stream: Whether it stands for the end of a generator.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "home",
        "is_read",
        "known",
        "origin",
        "parent",
        "ref",
        "serial",
        "submitted",
    )

    known: Callable[[], ObjectRef[Any] | None]

    # Few objects need the others: those that do have them in their `__dict__`.
    is_claimed = False
    verdict: BaseException | None = None
    end_verdict: BaseException | None = None
    settle: Callable[[], None] | None = None
    limit_s = 0.0
    has_begun = False
    is_watched = False
    cancelled = ""
    is_stream = False

    def __init__(
        self,
        home: Home,
        ref: Any,
        origin: Origin = UNKNOWN,
        serial: int = 0,
        submitted: float = 0.0,
        parent: bytes = b"",
    ) -> None:
        self.home = home
        self.ref = ref
        self.origin = origin
        self.serial = serial
        self.submitted = submitted
        self.parent = parent
        self.is_read = False

    @property
    def id(self) -> bytes:
        """The object's id, 28 bytes."""
        return self.ref.binary()  # type: ignore[no-any-return]

    @property
    def number(self) -> bytes:
        """Ray's id of the call that makes the object, 24 bytes; empty if that call is not known here."""
        return self.ref.task_id().binary() if self.origin.label else b""

    @property
    def owner(self) -> bytes:
        """The id of the process that owns the object; empty if it is not known here."""
        from ray.core.generated.common_pb2 import Address  # noqa: PLC0415 - few programs ask

        try:
            return bytes(Address.FromString(self.ref.owner_address()).worker_id)
        except ValueError:
            return b""

    @property
    def waited(self) -> Any:
        """What `ray.wait` takes."""
        return self.ref

    @property
    def call(self) -> Record:
        """The record of the call that makes the object."""
        return self

    def call_id(self) -> str:
        """Return the id of the call that makes the object, in hexadecimal digits."""
        return str(self.ref.task_id().hex())

    def await_end(self) -> None:
        """Wait until it is known whether a value is that of a generator's call that was stopped."""
        settle = self.settle  # another thread may take it away
        if settle is not None:
            settle()

    def reduce(self, ref: ObjectRef[Any]) -> tuple[Any, ...]:
        """Return what pickles `ref`: Ray counts the reference inside.

        Raises:
            OufOfBandObjectRefSerializationException: User code pickles it, and may not.
        """
        del ref
        if out_of_band.is_forbidden() and not _is_sent_by_ray():
            raise out_of_band.refusal(self.id.hex())
        self.is_claimed = True
        return rebuild, (self.ref, tuple(self.origin._replace(cell=0)))

    def request(self) -> None:
        """Do nothing: Ray sends values when they are asked for."""

    def done(self) -> bool:
        """See `ObjectRef.done`."""
        return self.verdict is not None or bool(ray.wait([self.ref], timeout=0, fetch_local=False)[0])

    def failed(self) -> bool:
        """Return whether the object is final and `get` would raise."""
        return self.done() and self._error() is not None

    def result(self) -> Any:
        """See `ObjectRef.result`."""
        self._check_done()
        return self.home.load(self, None)  # it may be on another node

    def exception(self) -> BaseException | None:
        """See `ObjectRef.exception`."""
        self._check_done()
        self.is_read = True
        return self._error(None)

    def _check_done(self) -> None:
        if not self.done():
            raise asyncio.InvalidStateError(f"ObjectRef({self.id.hex()}) is not ready: await it, or get() it")

    def _error(self, timeout: float | None = 0) -> BaseException | None:
        """Return the object's error. None if there is none, or if it is on another node beyond the time."""
        read = self.is_read
        try:
            self.home.load(self, timeout)
        except exceptions.GetTimeoutError as error:
            return error if isinstance(error, exceptions.RayTaskError) else None  # a call has raised it
        except Exception as error:  # noqa: BLE001 - users' errors are any
            return error
        finally:
            self.is_read = read
        return None

    def as_future(self) -> asyncio.Future[Any]:
        """See `ObjectRef.as_future`."""
        return asyncio.wrap_future(self.future())

    def future(self) -> concurrent.futures.Future[Any]:
        """See `ObjectRef.future`."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def settle() -> None:
            is_settled = future.done() and not future.cancelled()  # by the user
            if is_settled or not future.set_running_or_notify_cancel():
                return
            try:
                give = partial(future.set_result, self.home.load(self))
            except BaseException as error:  # noqa: BLE001 - users' errors are any
                give = partial(future.set_exception, error)
            try:
                give()
            except concurrent.futures.InvalidStateError:  # the user has settled it meanwhile
                pass
            except BaseException:  # a callback's, which Python's futures let through
                logging.getLogger("nbactors").exception("a callback of a future has failed")

        self.when_done(settle)
        return future

    def call_when_done(self, callback: Callable[[], None], context: Any) -> Any:
        """See `ObjectRef.add_done_callback`."""
        loop = asyncio.get_running_loop()
        watch = _Watch()

        def run() -> None:
            if not watch.is_cancelled:
                callback()

        def tell() -> None:
            try:
                loop.call_soon_threadsafe(run, context=context)
            except RuntimeError:  # the loop is closed
                pass

        self.when_done(tell)
        return watch

    def when_done(self, callback: Callable[[], None]) -> None:
        """Run `callback` when the object is final, on a thread of the engine."""
        self.home.watcher.add(self, callback)

    def facts(self) -> ObjectFacts:
        """Return a summary of the object, as this process knows it. Any thread; does not wait."""
        if not self.done():
            return ObjectFacts("pending", self.origin.label)
        error = self._error() if self.verdict is not None or self.origin.label else None
        if error is not None:
            if isinstance(error, exceptions.RayTaskError):
                text = raised(error.traceback_str)
            else:
                text = f"{type(error).__name__}: {brief(str(error))}"
            return ObjectFacts("failed", self.origin.label, error=brief(text))
        return ObjectFacts("ready")

    def __del__(self) -> None:
        try:
            if not self.is_read and self.origin.label:
                facts = (self.origin, self.serial, self.submitted, self.parent, self.is_claimed)
                self.home.watcher.dropped(Dropped(self.ref, *facts))
        except AttributeError:  # `__init__` was aborted
            pass


class _Watch:
    is_cancelled = False

    def cancel(self) -> None:
        """Have the callback not be called."""
        self.is_cancelled = True


class BoundError(TypeError):
    """A value stays in its process. The text says all."""


class StreamRecord:
    """A generator of Ray's. See `nbactors.engine.reference_records.StreamRecord`.

    One thread at a time reads Ray's generator: of several that wait for the same value, Ray would wake only one.

    Attributes:
        waited: Ray's generator, which `ray.wait` takes.
    """

    __slots__ = ("__weakref__", "_is_closed", "_reading", "_record", "_sleeping", "_stop", "home", "waited")

    verdict = None
    is_watched = False

    def __init__(self, home: Home, generator: Any, record: Record, stop: Callable[[Record], None]) -> None:
        self.home = home
        self.waited = generator
        self._record = record
        self._stop = stop
        self._is_closed = False
        self._reading = threading.Lock()
        self._sleeping: list[asyncio.Future[None]] = []

    def next(self, timeout: float | None) -> ObjectRef[Any]:
        """See `ObjectRefGenerator._next_sync`."""
        # It is divided in any case: another thread may close the generator.
        with self.home.pieces.of(timeout, is_divided=True) as pieces:
            for seconds in pieces:
                if self._is_closed:
                    raise StopIteration
                self._check_session()
                try:
                    ref = self._read(seconds)
                except KeyboardInterrupt as error:
                    self.home.on_interrupt(error, [self._record])
                    raise
                if ref is not None:
                    return self._referring(ref)
        raise reasons.none_yielded(timeout, is_cancelled=bool(self._record.cancelled))

    def _read(self, timeout: float | None) -> Any:
        """Return Ray's next reference, None if there was none within `timeout` seconds."""
        deadline = None if timeout is None else monotonic() + timeout
        if not self._reading.acquire(timeout=-1 if timeout is None else timeout):
            return None
        try:
            left = None if deadline is None else max(deadline - monotonic(), 0.0)
            generator = self.waited
            if self._is_closed:  # meanwhile
                return None
            ref = generator._next_sync(timeout_s=left)
        finally:
            self._reading.release()
        return None if ref.is_nil() else ref

    @property
    def call(self) -> Record:
        """The record of the generator's call."""
        return self._record

    async def anext(self) -> ObjectRef[Any]:
        """See `ObjectRefGenerator.__anext__`."""
        if self._is_closed:
            raise StopAsyncIteration
        self._check_session()
        generator = self.waited
        if not generator.next_ready():
            await self._next_or_close(generator)
            if self._is_closed:
                raise StopAsyncIteration
        return self._referring(await generator.__anext__())

    async def _next_or_close(self, generator: Any) -> None:
        """Wait until the next value is there, and take none; or until `close`."""
        closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleeping.append(closed)
        there = asyncio.ensure_future(_next_of(generator))
        try:
            if not self._is_closed:  # meanwhile
                await asyncio.wait((there, closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            there.cancel()
            self._sleeping.remove(closed)

    def _referring(self, ref: Any) -> ObjectRef[Any]:
        made = self._record
        item = Record(self.home, ref, made.origin)
        item.limit_s = made.limit_s
        item.has_begun = True
        return self.home.made(item)

    def request(self) -> None:
        """Do nothing: Ray sends values when they are asked for."""

    def next_ready(self) -> bool:
        """See `ObjectRefGenerator.next_ready`."""
        return self._is_over() or self.waited.next_ready()

    def is_finished(self) -> bool:
        """See `ObjectRefGenerator.is_finished`."""
        return self._is_over() or self.waited.is_finished()

    def _is_over(self) -> bool:
        return self._is_closed or self.home.is_over

    def _check_session(self) -> None:
        if self.home.is_over:
            raise exceptions.ObjectLostError(self._record.id.hex(), detail=ENDED)

    def close(self) -> None:
        """See `ObjectRefGenerator.close`."""
        self._is_closed = True
        self.waited = self._record.ref  # Ray's generator goes, so a producer that waits for its readers goes on
        for closed in self._sleeping[:]:
            _wake(closed)
        self._stop(self._record)

    def __del__(self) -> None:
        try:
            if not self._is_closed:
                stop, record = self._stop, self._record
                self.home.watcher.soon(lambda: stop(record))
        except AttributeError:  # `__init__` was aborted
            pass

    def facts(self) -> StreamFacts:
        """Return a summary of the stream, as this process knows it."""
        is_over = self.is_finished()
        return StreamFacts("ended" if is_over else "running", "" if is_over else self._record.origin.label)

    def reduce(self, completed: ObjectRef[Any]) -> tuple[Any, ...]:
        """Refuse: Ray's generators stay in their process.

        Raises:
            BoundError: Always.
        """
        raise BoundError(
            f"the ObjectRefGenerator {completed.hex()} cannot be sent to another process: on a Ray cluster only the "
            "process that has made the call reads it. Send the references that it yields"
        )


async def _next_of(generator: Any) -> None:
    """Wait for the next object of Ray's generator, as its `__anext__` does."""
    ref, is_there = generator.worker.core_worker.peek_object_ref_stream(generator._generator_ref)
    try:
        if not is_there:
            await ref
    except Exception:  # noqa: BLE001 - whoever takes the object gets it
        pass


def _wake(sleeping: asyncio.Future[None]) -> None:
    """Make a future final. Any thread."""

    def wake() -> None:
        if not sleeping.done():
            sleeping.set_result(None)

    try:
        sleeping.get_loop().call_soon_threadsafe(wake)
    except RuntimeError:  # the loop is closed
        pass


def _is_sent_by_ray() -> bool:
    """Return whether Ray pickles a value now, on this thread, for a call or a put."""
    context = ray._private.worker.global_worker.get_serialization_context()
    return bool(context.is_in_band_serialization())


def rebuild(ref: Any, origin: tuple[str, bytes, int, str]) -> ObjectRef[Any]:
    """Return this process's reference for one of Ray's. Called by `pickle`. `origin`: that of `Record`."""
    found: ObjectRef[Any] = current.of_process().objects.borrowed(ref, Origin(*origin))
    return found
