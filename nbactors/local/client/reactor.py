"""One selector per process, read by whichever thread waits: leader and followers.

Guarantees, which everything above relies on:

- At most one thread (the *leader*) polls and runs callbacks at a time, so callbacks need no lock against each other.
- A thread that waits becomes the leader if there is none. It then reads its own answer off the socket: no hand-over
  to a reader thread, which would cost a wake-up per call.
- A thread that waits while another leads (a *follower*) sleeps on a lock of its own. It is woken when what it waits
  for has happened, or is made leader when the old one leaves.
- A background thread leads when no one waits, so that messages are read and buffered writes go out while user code
  computes. While user threads come and go it only looks in once a tick, because a blocked poll would have to be
  interrupted by a system call and a thread switch for every wait.
- In an asyncio actor the main thread's event loop *hosts* the reactor: it watches the selector's own descriptor and
  leads for a moment whenever that is ready. The background thread then only stands guard, see `Guard`.
- SIGINT never tears the state: while the main thread leads or follows, the signal is noted and raised after it left.
  In a session `INTERRUPTS` keeps it from all else that the runtime does, too.

Finalizers (`__del__`, weakref callbacks) may run at any instruction of any thread, also inside our own locked
sections. They must only append to `trash` and call `nudge`, which take no lock.
"""

from __future__ import annotations

import selectors
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from nbactors.interrupts import INTERRUPTS
from nbactors.local.client.bell import Bell
from nbactors.local.client.brisk_selector import BriskSelector
from nbactors.local.client.guard import QUIET_TICKS, TICK_S, Guard, Host
from nbactors.local.client.thread_waits import ThreadWaits
from nbactors.local.client.timers import NEVER, Timers
from nbactors.local.client.waiter import Waiter

_allocate_lock = threading.Lock
try:
    # The functions that `signal` wraps to make enums of numbers: a third of the cost of a short wait.
    from _signal import getsignal as _get_handler  # type: ignore[import-not-found]
    from _signal import signal as _set_handler
except ImportError:  # another implementation of Python
    _get_handler, _set_handler = signal.getsignal, signal.signal
_SIGINT = int(signal.SIGINT)
_main_ident = threading.main_thread().ident


class Flushable(Protocol):
    """Something with buffered output, such as a connection."""

    def flush(self) -> None:
        """Send what is buffered."""


class Reactor:
    """The selector of a process, its timers, and the thread that leads when nobody else does."""

    def __init__(self, name: str) -> None:
        self._selector = BriskSelector()
        self._bell = Bell()
        self._selector.register(self._bell.fileno(), selectors.EVENT_READ, lambda mask: self._bell.still())
        self._lock = _allocate_lock()
        self._leading = False
        self._sleeping = False
        self.stints = 0
        self.is_late = False
        """Whether what is handled now may have come long before, while nobody looked. The leader's thread."""
        self.read_at = 0.0
        """What is handled now was read after this moment, on the monotonic clock. The leader's thread."""
        self.thread_waits = ThreadWaits()
        self._followers: deque[Waiter] = deque()
        self._parked = False
        self._park = _allocate_lock()
        self._park.acquire()
        self.closed = False
        self.dirty: deque[Flushable] = deque()
        self.trash: deque[Callable[[], None]] = deque()
        self._timers = Timers(self.complain)
        self.on_tick: Callable[[], None] | None = None
        self.scratch = memoryview(bytearray(1 << 18))
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._guard: Guard | None = None

    def start(self) -> None:
        """Start the background thread."""
        self._thread.start()

    @staticmethod
    def new_lock() -> threading.Lock:
        """Return a plain lock (here, so that the modules above need not import threading)."""
        return _allocate_lock()

    # ------------------------------------------------------------------------------------------------ registration

    def register(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call `callback(mask)` on the leader's thread when `fd` is ready. Any thread."""
        self._selector.register(fd, events, callback)
        self.nudge()

    def modify(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Change what a registered descriptor is watched for. Any thread."""
        self._selector.modify(fd, events, callback)

    def unregister(self, fd: int) -> None:
        """Stop watching a descriptor; unknown ones are ignored."""
        try:
            self._selector.unregister(fd)
        except (KeyError, ValueError):
            pass

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Run `callback` on the leader's thread after `delay` seconds. Any thread."""
        self._timers.add(delay, callback)
        self.nudge()

    def soon(self, target: Flushable) -> None:
        """Flush `target` before the next poll, whoever polls. Any thread."""
        self.dirty.append(target)
        self.nudge()

    def discard(self, action: Callable[[], None]) -> None:
        """Run `action` on the leader's thread soon. The one thing that finalizers may call."""
        self.trash.append(action)
        self.nudge()

    def nudge(self) -> None:
        """End the leader's blocking poll, if it is in one; else have the host visit. Takes no lock."""
        if not self.end_sleep() and self._guard is not None:
            self._guard.nudge()

    def end_sleep(self) -> bool:
        """End the leader's blocking poll; returns whether it was in one. Any thread; takes no lock."""
        if not self._sleeping:
            return False
        self._sleeping = False
        self._bell.ring()
        return True

    def wake(self) -> None:
        """Make the next poll return at once. Safe in signal handlers and finalizers."""
        self._bell.ring()

    # ---------------------------------------------------------------------------------------------------- waiting

    def wait(self, waiter: Waiter, timeout: float | None) -> bool:
        """Wait until `waiter` is done, at most `timeout` seconds. Any thread but the background one.

        Returns:
            Whether it is done.

        Raises:
            KeyboardInterrupt: Or what the user's SIGINT handler raises, on the main thread. On others: `ThreadWaits`.
        """
        deadline = None if timeout is None else monotonic() + timeout
        ident = threading.get_ident()
        if ident != _main_ident:
            self.thread_waits.begin(ident, waiter)
            try:
                self._wait(waiter, deadline)
            finally:
                self.thread_waits.end(ident)
            if waiter.interrupted:
                raise KeyboardInterrupt("the wait was interrupted")
            return waiter.done
        previous = _get_handler(_SIGINT)
        if previous is INTERRUPTS.handler:
            return self._wait_sheltered(waiter, deadline)
        if not callable(previous):
            self._wait(waiter, deadline)
            return waiter.done

        def note(signum: int, frame: Any) -> None:
            waiter.interrupted = True
            self.wake()
            waiter.rouse()

        while True:
            waiter.interrupted = waiter.promoted = False
            _set_handler(_SIGINT, note)
            # From here to the restored handler no KeyboardInterrupt can be raised on this thread.
            try:
                self._wait(waiter, deadline)
            finally:
                _set_handler(_SIGINT, previous)
            if not waiter.interrupted:
                return waiter.done
            previous(_SIGINT, sys._getframe())
            # It did not raise: the signal was for somebody else, and the wait goes on.
            if waiter.done or self.closed or (deadline is not None and monotonic() >= deadline):
                return waiter.done

    def _wait_sheltered(self, waiter: Waiter, deadline: float | None) -> bool:
        """Do what `wait` does on the main thread of a session, whose handler is there already."""
        outer = INTERRUPTS.sleeper  # a wait that another signal's handler has interrupted
        while True:
            waiter.interrupted = waiter.promoted = False
            INTERRUPTS.sleeper = waiter
            if INTERRUPTS.due:  # it came before this line; one that comes after it finds the waiter
                waiter.interrupted = True
            try:
                self._wait(waiter, deadline)
            finally:
                INTERRUPTS.sleeper = outer
            if not INTERRUPTS.due:
                return waiter.done
            INTERRUPTS.raise_due()
            if waiter.done or self.closed or (deadline is not None and monotonic() >= deadline):
                return waiter.done

    def _wait(self, waiter: Waiter, deadline: float | None) -> None:
        with self._lock:
            if self._leading:
                lock = _allocate_lock()
                lock.acquire()
                waiter.lock = lock
                # It may have led in an earlier wait that timed out. Taken for a promotion, that made two leaders at
                # once, who read the same sockets.
                waiter.promoted = False
                self._followers.append(waiter)
                lead = False
            else:
                lead = self._leading = True
        if not lead:
            lead = self._follow(waiter, deadline)
        if lead:
            try:
                self._lead(waiter, deadline)
            finally:
                self._leave()

    def _follow(self, waiter: Waiter, deadline: float | None) -> bool:
        """Sleep as a follower; return whether this thread has been made leader."""
        lock = waiter.lock
        assert lock is not None
        while not (waiter.done or waiter.promoted or waiter.interrupted or self.closed):
            timeout = -1.0
            if deadline is not None:
                timeout = deadline - monotonic()
                if timeout <= 0:
                    break
            lock.acquire(timeout=timeout)
        with self._lock:
            if not waiter.promoted:
                self._followers.remove(waiter)
            return waiter.promoted

    def _lead(self, waiter: Waiter, deadline: float | None) -> None:
        self.stints += 1
        # Another thread may finish it: one that cancels a call which was not sent, for instance.
        waiter.led = self
        while not (waiter.done or waiter.interrupted or self.closed):
            timeout = None
            if deadline is not None:
                timeout = deadline - monotonic()
                if timeout <= 0:
                    # One look without blocking: get(timeout=0) must see what has arrived.
                    self._poll(0)
                    return
            self._poll(timeout, waiter)

    def _leave(self) -> None:
        """Give leadership to a follower, or leave the place empty for the background thread's next tick."""
        with self._lock:
            while self._followers:
                follower = self._followers.popleft()
                follower.promoted = True
                follower.rouse()
                return
            self._leading = False
            self._unpark()
            if self.closed:
                self._dispose()
        if self._guard is not None:
            self._guard.left()

    def _unpark(self) -> None:
        """Let the background thread look around. Under the lock."""
        if self._parked:
            self._parked = False
            self._park.release()

    # ---------------------------------------------------------------------------------------------------- polling

    def _poll(self, timeout: float | None, waiter: Waiter | None = None) -> None:
        """Flush, then wait for events and run their callbacks. The leader only; it waits for `waiter`."""
        self._settle()
        if timeout != 0:
            self._sleeping = True
            # All that follows is looked at after the flag: whoever came before it saw no sleeper to wake.
            until = self._timers.next_s()
            if until is not None:
                timeout = until if timeout is None else min(timeout, until)
            if self.dirty or self.trash or (waiter is not None and waiter.done):
                timeout = 0
        selector = self._selector
        try:
            # A thread that looks is woken by the same means as one that sleeps.
            events = (selector.select if waiter is None else selector.select_briskly)(timeout)
        except (OSError, ValueError):
            if not self.closed:
                raise
            return  # a thread that begins to wait while another one closes
        finally:
            self._sleeping = False
        self.read_at = monotonic()
        self.is_late = timeout == 0 or (waiter is not None and selector.found_at_once)
        for key, mask in events:
            try:
                key.data(mask)
            except Exception:  # noqa: BLE001 - a broken callback must not stop the process's only reader
                self.complain(key.data)
        if self._timers.due != NEVER:
            self._timers.run()

    def _settle(self) -> None:
        dirty, trash = self.dirty, self.trash
        while trash:
            action = trash.popleft()
            try:
                action()
            except Exception:  # noqa: BLE001 - as in _poll
                self.complain(action)
        while dirty:
            dirty.popleft().flush()

    @staticmethod
    def complain(callback: object) -> None:
        """Write the exception being handled to stderr: it has nowhere else to go."""
        try:
            sys.__stderr__.write(f"nbactors: error in {callback!r}:\n{traceback.format_exc()}")  # type: ignore[union-attr]
        except Exception:  # noqa: BLE001 - no stderr in this process: nothing left to tell it to
            pass

    # ----------------------------------------------------------------------------------------------------- hosting

    def host(self, host: Host) -> None:
        """Be led by an event loop from now on, see `Host`. The loop's thread."""
        self._guard = Guard(self, host)
        self.wake()

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is something to do."""
        return self._selector.fileno()  # epoll and kqueue have one

    def visit(self) -> bool:
        """Lead for a moment, without blocking; returns False if another thread leads. Any thread, not in a callback."""
        return self._lead_for_a_moment(1)

    def _lead_for_a_moment(self, stints: int) -> bool:
        with self._lock:
            if self._leading:
                return False
            self._leading = True
            self.stints += stints
            self._unpark()
        try:
            self._poll(0)
            self._settle()
        finally:
            self._leave()
        return True

    def catch_up(self) -> None:
        """Read all that has come by now, so that a call that was cancelled before its turn never begins.

        Else the background thread would get to that only at its next tick. Any thread, not in a callback.
        """
        if self.visit():
            return
        # Two rounds of the thread that leads: the first may have begun before the last of it came.
        waiter = Waiter()
        self.call_later(0, lambda: self.call_later(0, waiter.finish))
        self.wait(waiter, None)

    @property
    def is_led(self) -> bool:
        """Whether a thread leads now."""
        return self._leading

    def next_timer_s(self) -> float | None:
        """Return in how many seconds the next timer is due, None if there is none."""
        return self._timers.next_s()

    def look_in(self) -> None:
        """Do what is due each tick, and read and send what is there, if nobody leads. The background thread."""
        if self.on_tick is not None:
            self.on_tick()
        self._lead_for_a_moment(0)

    # ---------------------------------------------------------------------------------------- the background thread

    def _run(self) -> None:
        while not self.closed:
            if self._guard is not None:
                self._guard.run()
                return
            if self._tick_until_quiet():
                self._lead_in_background()

    def _tick_until_quiet(self) -> bool:
        """Look in once a tick; return True, as the leader, when there was nothing to do for a while.

        False if a host has come, or it is closed. It leads nothing then, and must not leave: taken for the leader here,
        it gave away the place of the thread that led, and of two at once one slept through what the other was sent.
        """
        quiet = 0
        stints = self.stints
        while not self.closed and self._guard is None:
            self._park.acquire(timeout=TICK_S)
            if self.on_tick is not None:
                self.on_tick()
            with self._lock:
                lead = not self._leading
                if lead:
                    self._leading = True
            if not lead:
                quiet = quiet + 1 if stints == self.stints else 0
                stints = self.stints
                if quiet > QUIET_TICKS:
                    self._sleep_while_led()
                    quiet = 0
                continue
            busy = bool(self.dirty)
            before = self.stints
            self._poll(0)
            quiet = 0 if busy or before != stints else quiet + 1
            stints = before
            if quiet > QUIET_TICKS:
                return True
            self._leave()
        return False

    def _sleep_while_led(self) -> None:
        with self._lock:
            if not self._leading:
                return
            self._parked = True
        self._park.acquire()

    def _lead_in_background(self) -> None:
        try:
            while not self.closed and self._guard is None:
                followers = len(self._followers)
                dirty = bool(self.dirty)
                self._poll(None)
                if followers or self._followers or dirty:
                    return
        finally:
            self._leave()

    def in_background_thread(self) -> bool:
        """Return whether the calling thread is the background one, which must never wait."""
        return threading.get_ident() == self._thread.ident

    def forget(self) -> None:
        """In a forked child, which has no background thread: do nothing any more, not even wake the parent's.

        A thread that waits here nevertheless returns at once, as after `close`: those that held the lock, led or
        followed are not in the child.
        """
        self.closed = True
        self._lock = _allocate_lock()
        self._leading = self._sleeping = False
        self._followers.clear()
        self._guard = None
        self._bell.forget()

    def close(self) -> None:
        """Stop the background thread and close the selector. Called once, by the thread that shuts down.

        Threads that still wait return at once, with their waiters undone; the last of them to lead closes the selector.
        """
        with self._lock:
            self.closed = True
            if self._parked:
                self._parked = False
                self._park.release()
            for follower in self._followers:
                follower.rouse()
        self.wake()
        if self._thread.is_alive() and not self.in_background_thread():
            self._thread.join(timeout=2)
        with self._lock:
            if not self._leading:
                self._dispose()

    def _dispose(self) -> None:
        """Close the descriptors, once. Under the lock, with no leader.

        Closed while a leader polls they never wake it: a pipe that is closed before the woken thread gets to run is
        taken out of what it polls, and it goes back to sleep for good.
        """
        if self._bell.is_open:
            self._selector.close()
            self._bell.close()
