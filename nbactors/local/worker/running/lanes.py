"""`Lanes`: the lanes of one actor, one for each concurrency group."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from nbactors.local.reactor.guard import host
from nbactors.local.worker.running.interrupts import invoke
from nbactors.local.worker.running.thread_lane import ThreadLane

if TYPE_CHECKING:
    from nbactors.local.objects.waiting import Waiting
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.wire import messages
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.running.loop_lane import LoopLane
    from nbactors.local.worker.running.performer import Performer


class Lanes:
    """Gives each call to the lane of its group.

    The loop of an asyncio actor's default group runs on the main thread and hosts the reactor. A threaded actor runs no
    call on the main thread, which stays free to read arriving calls.

    Args:
        message: Has the number of calls that each group may run at the same time.
        performer: Runs the calls.

    Attributes:
        limits: This number for each group, the default one first, whose name is empty.
        only: The lane, if there is no other one.
        put_plain: Takes in a call of the default group. The leader's thread.
    """

    def __init__(self, message: messages.Construct, performer: Performer) -> None:
        self.is_async = message.is_async
        self.main_ident = threading.main_thread().ident if message.is_async else 0
        self.limits = limits = {"": message.max_concurrency, **message.groups}
        self._lanes: dict[str, ThreadLane | LoopLane]
        self._performer = performer
        self._may_stop = False
        if message.is_async:
            from nbactors.local.worker.running.actor_loop import new_loop  # noqa: PLC0415 - imports asyncio: 80 ms
            from nbactors.local.worker.running.loop_lane import LoopLane  # noqa: PLC0415 - as above
            from nbactors.local.worker.running.loop_performer import LoopPerformer  # noqa: PLC0415 - as above

            loop_performer = LoopPerformer(performer)
            self._lanes = {
                name: LoopLane(new_loop(), limit, loop_performer, performer.title.rest)
                for name, limit in limits.items()
            }
        else:
            self._lanes = {
                name: ThreadLane(
                    name,
                    limit,
                    performer.perform_in_thread,
                    performer.reactor.call_later,
                    performer.reactor.catch_up,
                )
                for name, limit in limits.items()
            }
        self._default = self._lanes[""]
        self.only = self._default if len(self._lanes) == 1 else None
        self.put_plain: Callable[[Job], None] = self._default.put_quickly

    def put(self, job: Job) -> None:
        """Take a call in. The leader's thread."""
        self._lanes.get(job.message.group, self._default).put(job)  # type: ignore[union-attr] # tasks have no lanes

    def start(self) -> None:
        """Begin to run calls, after the constructor has returned. The main thread."""
        for name, lane in self._lanes.items():
            if isinstance(lane, ThreadLane):
                lane.wrap(self._performer.limited)
            if lane is self._default or isinstance(lane, ThreadLane):
                lane.start()
            else:
                lane.start_in_thread(name)

    def pause(self) -> None:
        """Begin no more calls until `resume`; running calls go on. Any thread."""
        for lane in self._lanes.values():
            lane.pause()

    def resume(self) -> None:
        """Begin calls again. Any thread."""
        for lane in self._lanes.values():
            lane.resume()

    @property
    def runs(self) -> bool:
        """Whether a call runs."""
        return any(lane.runs for lane in self._lanes.values())

    def complete(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the default group's loop to its end, and return what it returns. The main thread."""
        return self._loop_lane.loop.run_until_complete(coroutine)

    @property
    def is_busy(self) -> bool:
        """Whether calls wait, so that answers are better gathered."""
        # Called for every answer; `any` of a generator takes three times as long.
        for lane in self._lanes.values():  # noqa: SIM110
            if lane.is_busy:
                return True
        return False

    @property
    def has_running(self) -> bool:
        """Whether a call runs or waits."""
        return any(lane.has_running for lane in self._lanes.values())

    # ----------------------------------------------------------------------------------------------------- the loop

    def host(self, reactor: Reactor, waiting: Waiting) -> None:
        """Make the default group's loop the reactor's host. The main thread, before the loop runs."""
        from nbactors.in_worker.loop_blocking import LoopBlocking  # noqa: PLC0415 - as above
        from nbactors.local.worker.running.loop_host import LoopHost  # noqa: PLC0415 - imports asyncio

        lane = self._loop_lane
        lane.adopt()
        host(reactor, LoopHost(reactor, lane.loop, partial(lane.gather_quickly, reactor.visit)))
        waiting.before_block = LoopBlocking().notice

    def construct(self, cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the instance while the default group's loop runs, as in Ray; an `async def __init__` is awaited."""
        return self._loop_lane.loop.run_until_complete(_make(cls, args, kwargs))

    def run_main_loop(self, is_wanted: Callable[[], bool]) -> None:
        """Run the default group's loop until the main thread has something else to do. The main thread."""
        self._may_stop = True
        # A job that was queued before the flag was set is seen here; a later one stops the loop.
        if not is_wanted():
            self._loop_lane.run()
        self._may_stop = False

    def turn(self, seconds: float) -> None:
        """Run the default group's loop for a moment."""
        import asyncio  # noqa: PLC0415 - only asyncio actors need it

        self._loop_lane.loop.run_until_complete(asyncio.sleep(seconds))

    def stop_main_loop(self) -> None:
        """Have `run_main_loop` return. Any thread."""
        if self.is_async:
            self._loop_lane.soon(self._stop)

    def _stop(self) -> None:
        # Does not stop the loop while it runs the constructor, which would be aborted. The loop's thread.
        if self._may_stop:
            self._loop_lane.loop.stop()

    def expect_exit(self) -> None:
        """Keep asyncio from logging the exception of `exit_actor()` if user code drops it. A loop's thread."""
        if not self.is_async:
            return
        import asyncio  # noqa: PLC0415 - only asyncio actors need it

        try:
            task = asyncio.current_task()
        except RuntimeError:  # this is another thread, or a callback
            return
        if task is not None:
            task.add_done_callback(lambda task: task.cancelled() or task.exception())

    def leave_loop(self, end: Callable[[], NoReturn]) -> None:
        """In a forked child: have the calling thread's loop call `end` when user code gives control back to it."""
        for lane in self._lanes.values():
            if not isinstance(lane, ThreadLane) and lane.is_own:
                lane.call_next(end)

    def loops(self) -> list[Any]:
        """Return the event loops."""
        return [lane.loop for lane in self._lanes.values() if not isinstance(lane, ThreadLane)]

    def cancel(self, job: Job) -> None:
        """Cancel the asyncio task of a running call. Any thread."""
        lane = self._lanes.get(job.message.group, self._default)  # type: ignore[union-attr]
        if not isinstance(lane, ThreadLane):
            lane.cancel(job)

    @property
    def _loop_lane(self) -> LoopLane:
        assert not isinstance(self._default, ThreadLane)
        return self._default


async def _make(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    constructor: Any = cls.__init__  # type: ignore[misc] # only read, to see whether it has to be awaited
    if not inspect.iscoroutinefunction(constructor):
        return invoke(cls, args, kwargs)
    instance = cls.__new__(cls, *args, **kwargs)
    await constructor(instance, *args, **kwargs)
    return instance
