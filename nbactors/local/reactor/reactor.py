"""`Reactor`: the selector of a process, its timers, and its leader. The theory is in this room's `__init__`."""

from __future__ import annotations

import selectors
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from threading import get_ident
from time import monotonic
from typing import Any

from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.local.reactor.action_queue import run_all
from nbactors.local.reactor.bell import Bell
from nbactors.local.reactor.blame import Blame, complain
from nbactors.local.reactor.brisk_selector import BriskSelector
from nbactors.local.reactor.duties import Flushable, Reading, Shelter, Standby
from nbactors.local.reactor.left_steps import LeftSteps
from nbactors.local.reactor.thread_waits import ThreadWaits
from nbactors.local.reactor.timers import NEVER, Timer, Timers
from nbactors.local.reactor.waiter import Waiter
from nbactors.speedups import ReactorBase

CHECK_S = 0.1
"""How often, in seconds, a follower checks whether there is still a leader. A leader that leaves wakes a follower,
unless an asynchronous exception comes at the very bytecode that would."""

_allocate_lock = threading.Lock
try:
    # `signal` wraps these C functions to turn numbers into enums, which is a third of the cost of a short wait.
    from _signal import getsignal as _get_handler  # type: ignore[import-not-found]
    from _signal import signal as _set_handler
except ImportError:  # another implementation of Python
    _get_handler, _set_handler = signal.getsignal, signal.signal
_SIGINT = int(signal.SIGINT)
_main_ident = threading.main_thread().ident or 0


class Reactor(ReactorBase):
    """The selector of a process, its timers, and its leader.

    The usual case of a wait and of a poll is one step of `ReactorBase`, if that is compiled; all else are the steps
    here.
    """

    def __init__(self, name: str) -> None:
        self._main_ident = _main_ident
        self._selector = BriskSelector()
        self._bell = Bell()
        self._selector.register(self._bell.fileno(), selectors.EVENT_READ, lambda mask: self._bell.still())
        self.leader: Waiter | None = None
        self._sleeping = False
        self.reading: Reading | None = None
        """The connection whose messages the leader is handling now."""
        self.stints = 0
        self.is_late = False
        """Whether the messages handled now may have come long ago, while no thread polled. On the leader's thread."""
        self.read_at = 0.0
        """The messages handled now were read after this time of the monotonic clock. On the leader's thread."""
        self.thread_waits = ThreadWaits()
        self.followers: deque[Waiter] = deque()
        self.parked = False
        self.park = _allocate_lock()
        self.park.acquire()
        self.closed = False
        self.dirty: deque[Flushable] = deque()
        self._settled = 0
        """How many targets have been taken out of `dirty`."""
        self.left_steps = LeftSteps()
        self.trash: deque[Callable[[], None]] = deque()
        self._blame = Blame(self.in_background_thread)
        self._timers = Timers(self.blame)
        self._at_last: dict[Callable[[], None], None] = {}
        """Callbacks that run when the reactor closes, at the latest."""
        self._name = name
        self._thread: threading.Thread | None = None
        self.guard: Standby | None = None
        """What watches the reactor while an event loop hosts it; None otherwise."""
        self.shelter: Shelter = INTERRUPTS
        """The handler of SIGINT that the runtime installs in this process."""

    def run_in_background(self, run: Callable[[], None]) -> None:
        """Start the background thread, which leads while no other thread does; see `background.start`."""
        self._thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------------------------------------ registration

    def register(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call `callback(mask)` on the leader's thread when `fd` is ready. Any thread."""
        self._selector.register(fd, events, callback)
        self.nudge()

    def modify(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Change the events that a registered descriptor is watched for. Any thread."""
        self._selector.modify(fd, events, callback)

    def unregister(self, fd: int) -> None:
        """Stop watching a descriptor. An unknown descriptor is ignored."""
        try:
            self._selector.unregister(fd)
        except (KeyError, ValueError):
            pass

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` on the leader's thread after `delay` seconds, unless it is cancelled before. Any thread."""
        timer = self._timers.add(delay, callback)
        self.nudge()
        return timer

    def call_at_last(self, delay: float, callback: Callable[[], None]) -> None:
        """Like `call_later`, but run `callback` at the latest when the reactor closes. Any thread; it may run twice."""

        def run() -> None:
            callback()
            self._at_last.pop(run, None)

        self._at_last[run] = None
        self.call_later(delay, run)
        if self.closed:
            run()

    def soon(self, target: Flushable) -> None:
        """Flush `target` before the next poll of any thread. Any thread."""
        self.dirty.append(target)
        self.nudge()

    def discard(self, action: Callable[[], None]) -> None:
        """Run `action` on the leader's thread soon. The only method that finalizers may call."""
        self.trash.append(action)
        self.nudge()

    def nudge(self) -> None:
        """End the leader's blocking poll if there is one; otherwise have the hosting loop visit. Takes no lock."""
        if not self.end_sleep() and self.guard is not None:
            self.guard.nudge()

    def end_sleep(self) -> bool:
        """End the leader's blocking poll. Return whether there was one. Any thread; takes no lock."""
        if not self._sleeping:
            return False
        self._sleeping = False
        self._bell.ring()
        return True

    def wake(self) -> None:
        """Make the next poll return at once. Safe in signal handlers and finalizers."""
        self._bell.ring()

    # ---------------------------------------------------------------------------------------------------- waiting

    def leads(self) -> bool:
        """Return whether the calling thread leads, and so may be in the middle of a message.

        A wait would handle that message a second time. Code that waits for each message has to do without, then.
        """
        leader = self.leader
        return leader is not None and leader.ident == get_ident()

    def wait(self, waiter: Waiter, timeout: float | None) -> bool:
        """Wait until `waiter` is done, at most `timeout` seconds. Any thread, also in handlers and finalizers.

        Returns:
            Whether the waiter is done.

        Raises:
            KeyboardInterrupt: After SIGINT (or what the user's handler raises), or `ThreadWaits.interrupt`.
        """
        deadline = None if timeout is None else monotonic() + timeout
        is_done = self._wait_quickly(waiter, deadline)
        if is_done is not None:
            return is_done
        ident = waiter.ident = get_ident()
        if ident != _main_ident:
            outer = self.thread_waits.waiter_of(ident)
            try:
                self.thread_waits.begin(ident, waiter)
                self._wait(waiter, deadline)
            finally:
                self.thread_waits.end(ident, outer)
            waiter.ident = 0
            if waiter.interrupted:
                raise KeyboardInterrupt("the wait was interrupted")
            return waiter.done
        previous = _get_handler(_SIGINT)
        shelter = self.shelter
        if previous is shelter.handler:
            return self._wait_sheltered(waiter, deadline, shelter)
        if not callable(previous):
            self._wait(waiter, deadline)
            return waiter.done

        def note(signum: int, frame: Any) -> None:
            waiter.interrupted = True
            self.wake()
            waiter.rouse()

        while True:
            waiter.interrupted = False
            try:
                _set_handler(_SIGINT, note)
                # Until the previous handler is restored, no KeyboardInterrupt can be raised on this thread.
                self._wait(waiter, deadline)
            finally:
                _set_handler(_SIGINT, previous)
            if not waiter.interrupted:
                return waiter.done
            previous(_SIGINT, sys._getframe())
            # The user's handler raised nothing: the signal was not meant to end the wait, which goes on.
            if waiter.done or self.closed or (deadline is not None and monotonic() >= deadline):
                return waiter.done

    def _wait_sheltered(self, waiter: Waiter, deadline: float | None, shelter: Shelter) -> bool:
        """Do what `wait` does on the main thread, where the runtime's SIGINT handler is installed."""
        outer = shelter.sleeper  # set if the handler of another signal has interrupted a wait, and waits here
        while True:
            shelter.sleeper = waiter
            if shelter.due:  # a SIGINT before this line; a later one finds the waiter
                waiter.interrupted = True
            try:
                self._wait(waiter, deadline)
            finally:
                shelter.sleeper = outer
            if not shelter.due:
                return waiter.done
            waiter.interrupted = False
            shelter.raise_due()
            if waiter.done or self.closed or (deadline is not None and monotonic() >= deadline):
                return waiter.done

    def _wait(self, waiter: Waiter, deadline: float | None) -> None:
        leader = self.leader
        if leader is not None and leader.ident == waiter.ident:
            self._lead_inside(waiter, deadline)
        elif self.leader is None:
            self.leader = waiter
            try:
                self._lead(waiter, deadline)
            finally:
                self.leader = None
                self.pass_on()
        else:
            self._follow(waiter, deadline)

    def _lead_inside(self, waiter: Waiter, deadline: float | None) -> None:
        """Lead in a handler or finalizer that has interrupted this very thread while it was the leader."""
        try:
            if self.reading is not None:  # the interrupted leader may have read messages and not handled them
                self.reading.go_on()
            self._lead(waiter, deadline)
        finally:
            # The interrupted leader may be about to sleep, although its result has come during this wait.
            self.wake()

    def _follow(self, waiter: Waiter, deadline: float | None) -> None:
        """Sleep while another thread leads; lead when that thread leaves."""
        lock = waiter.lock = _allocate_lock()
        lock.acquire()
        try:
            waiter.follows = True
            self.followers.append(waiter)
            while not (waiter.done or waiter.interrupted or self.closed):
                if self.leader is None:
                    self.leader = waiter
                leader = self.leader
                # The leader may also be an outer wait of this thread: a handler interrupted it, and waits here.
                if leader is not None and leader.ident == waiter.ident:
                    self._lead(waiter, deadline)
                    return
                now = monotonic()
                if self.dirty or self.trash or self._timers.due <= now:
                    self.nudge()  # an asynchronous exception kept a thread from waking the leader
                timeout = CHECK_S
                if deadline is not None:
                    timeout = min(deadline - now, CHECK_S)
                    if timeout <= 0:
                        return
                if self.left_steps.targets:
                    self.left_steps.serve()
                lock.acquire(timeout=timeout)
        finally:
            waiter.follows = False
            if self.leader is waiter:
                self.leader = None
            try:
                self.followers.remove(waiter)
            except ValueError:  # it was taken out to be made the leader
                pass
            if self.leader is None:
                self.pass_on()

    def _lead(self, waiter: Waiter, deadline: float | None) -> None:
        self.stints += 1
        # Through `led`, another thread ends this poll: for example one that cancels a call before it was sent.
        waiter.led = self
        while not (waiter.done or waiter.interrupted or self.closed):
            timeout = None
            if deadline is not None:
                timeout = deadline - monotonic()
                if timeout <= 0:
                    # Poll once without blocking: get(timeout=0) must see results that have arrived.
                    self.poll(0)
                    return
            self.poll(timeout, waiter)

    def pass_on(self) -> None:
        """Make a follower the leader; if there is none, wake the background thread. On the thread that has led."""
        while self.followers and self.leader is None:
            try:
                follower = self.followers.popleft()
            except IndexError:  # the last follower has stopped waiting meanwhile
                break
            if follower.follows and self.leader is None:
                self.leader = follower
                follower.rouse()
                return
        if self.parked:
            self.parked = False
            try:
                self.park.release()
            except RuntimeError:  # the background thread has woken by its timeout
                pass
        if self.closed:
            self._dispose()
        if self.guard is not None:
            self.guard.left()

    # ---------------------------------------------------------------------------------------------------- polling

    def poll(self, timeout: float | None, waiter: Waiter | None = None) -> None:
        """Flush, then wait for events and run their callbacks. Only the leader, in a wait for `waiter` if given."""
        if self._poll_quickly(timeout, waiter):
            return
        self._settle()
        if timeout != 0:
            self._sleeping = True
            # All checks below follow the flag: a thread that came before the flag saw no sleeping leader to wake.
            due = self._timers.due
            if due != NEVER:
                until = max(due - monotonic(), 0)
                if timeout is None or until < timeout:
                    timeout = until
            if self.dirty or self.trash or (waiter is not None and waiter.done):
                timeout = 0
        selector = self._selector
        try:
            # `end_sleep` ends both ways to wait: a spinning thread polls the bell, too.
            events = (selector.look if waiter is None else selector.select_briskly)(timeout)
        except (OSError, ValueError):
            if not self.closed:
                raise
            return  # another thread has closed the selector
        finally:
            self._sleeping = False
        self.read_at = monotonic()
        self.is_late = timeout == 0 or (waiter is not None and selector.found_at_once)
        for key, mask in events:
            try:
                key.data(mask)
            except BaseException as error:  # noqa: BLE001 - see `blame`
                self.blame(error, key.data, mask)
        if self._timers.due <= self.read_at:
            self._timers.run()

    def _settle(self) -> None:
        dirty, trash = self.dirty, self.trash
        if self.left_steps.targets:
            self.left_steps.serve()
        if trash:
            run_all(trash, self.blame)
        while True:
            if not dirty:
                break
            target, settled = dirty[0], self._settled
            try:
                if not target.serve():
                    self.left_steps.add(target)
            except BaseException as error:  # noqa: BLE001 - see `blame`
                self.blame(error, target.flush)
            # A handler that has interrupted this may have taken the target out. To find it in front again is no proof
            # that it has not: another thread may have put it in anew, for messages that came later. Were it taken out
            # now, these and all behind them would wait for ever. No call comes between the next two lines.
            if dirty and settled == self._settled:
                self._settled += 1
                dirty.popleft()

    def blame(self, error: BaseException, callback: Callable[..., None], *args: Any) -> None:
        """Handle an exception that came out of a callback. Called in the `except` clause, by the leader. See `Blame`.

        Raises:
            BaseException: `error`, if it was an asynchronous one.
        """
        self._blame(error, callback, args)

    def relieve_by(self, relieve: Callable[[], bool]) -> None:
        """Have `relieve` called when a callback has got a MemoryError, see `Blame`."""
        self._blame.relieve = relieve

    @staticmethod
    def complain(callback: object) -> None:
        """Write the exception that is being handled to stderr, where no code could handle it."""
        complain(callback)

    # ----------------------------------------------------------------------------------------------------- hosting

    def fileno(self) -> int:
        """Return the descriptor that is readable when an event is there."""
        return self._selector.fileno()  # epoll and kqueue have one

    def visit(self) -> bool:
        """Lead for a moment, without blocking. Return False if another thread leads. Any thread, not in a callback."""
        return self._lead_for_a_moment(1)

    def _lead_for_a_moment(self, stints: int) -> bool:
        has_led = self._visit_quickly(stints)
        if has_led is not None:
            return has_led
        me = Waiter()
        me.ident = get_ident()
        if self.leader is not None:
            return False
        self.leader = me
        try:
            self.stints += stints
            self.poll(0)
            self._settle()
        finally:
            self.leader = None
            self.pass_on()
        return True

    def catch_up(self) -> None:
        """Read all messages that have arrived by now, so that a call that was cancelled before its turn never starts.

        Otherwise the background thread reads them only at its next tick. Any thread, not in a callback.
        """
        if self.visit():
            return
        # Wait for two polls of the leader: the first one may have begun before the last message arrived.
        waiter = Waiter()

        def once_more() -> None:
            self.call_later(0, waiter.finish)

        self.call_later(0, once_more)
        self.wait(waiter, None)

    @property
    def is_led(self) -> bool:
        """Whether a thread leads now."""
        return self.leader is not None

    @property
    def timer_due(self) -> float:
        """When the next timer is due, on the monotonic clock; `NEVER` if there is no timer. Any thread."""
        return self._timers.due

    def next_timer_s(self) -> float | None:
        """Return in how many seconds the next timer is due, None if there is no timer."""
        return self._timers.next_s()

    def look_in(self) -> None:
        """Poll without blocking if no thread leads. On the background thread."""
        self._lead_for_a_moment(0)

    def in_background_thread(self) -> bool:
        """Return whether the calling thread is the background thread, which must never wait."""
        return self._thread is not None and threading.get_ident() == self._thread.ident

    def renew(self) -> None:
        """Take descriptors of its own, in a forked child that goes on with a reactor which has not been used yet."""
        self._bell.renew()
        self._selector.renew()

    def forget(self) -> None:
        """Stop using the reactor, in a forked child: there is no background thread, and the parent's must not be woken.

        A thread of the child that waits returns at once, as after `close`: leader and followers are not in the child.
        """
        self.closed = True
        self.leader = None
        self._sleeping = False
        self.followers.clear()
        self.guard = None
        self._bell.forget()

    def close(self) -> None:
        """Stop the background thread and close the selector. Called once, by the thread that shuts the runtime down.

        Threads that still wait return at once with their waiters undone. The last of them to lead closes the selector.
        """
        self.closed = True
        for follower in list(self.followers):
            follower.rouse()
        self.wake()
        thread = self._thread
        if thread is not None and thread.is_alive() and not self.in_background_thread():
            thread.join(timeout=2)
        if self.leader is None:
            self._dispose()

    def _dispose(self) -> None:
        """Close the descriptors, once, while there is no leader.

        A poll that runs would never end: epoll drops a descriptor that is closed before the woken thread runs.
        """
        for run in list(self._at_last):
            run()
        if self._bell.is_open:
            self._selector.close()
            self._bell.close()
