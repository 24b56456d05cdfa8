"""`SimulatedProcess`: a session or worker with all its real parts, on simulated sockets and simulated time."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

from nbactors.local.member import Process
from nbactors.local.membership import Membership
from nbactors.local.reactor.reactor import Reactor
from nbactors.local.reactor.timers import NEVER
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages
from simulation.network import Network
from simulation.sockets import Bell, Selector, Socket
from simulation.world import World

STORE_LIMIT = 1 << 28
JITTER_S = 0.00002

SEARCH_S = 0.05
"""The longest pause, in seconds, between two looks of a process for the next node. See `next_node`."""

LATE_S = 1.3
"""How late, in seconds, a process may begin to search: later than the next node waits for it."""

_LATE_IN = 8
"""One of so many searches begins late."""


class Blocked(AssertionError):
    """Code waits in the reactor where the simulation cannot go on meanwhile."""


class Left(BaseException):
    """Ends a step in which the process ends."""


class SimulatedReactor(Reactor):
    """The real reactor, which the simulation polls. See `seams` for its selector."""

    def wait(self, waiter: Waiter, timeout: float | None) -> bool:
        if waiter.done or timeout == 0:
            return waiter.done
        raise Blocked("a simulated process cannot block")


class _Guard:
    """Has the world visit the reactor: the world takes the place of an event loop that hosts it."""

    def __init__(self, process: SimulatedProcess) -> None:
        self._process = process

    def nudge(self) -> None:
        self._process.world.touch(self._process)

    def left(self) -> None:
        pass

    def run(self) -> None:
        pass


class SimulatedProcess(Process):
    """A session or worker.

    Args:
        name: The name in the trace, which decides the delays of its own steps.
        network: The way to other processes.

    Attributes:
        stalled_until: The time up to which the process does nothing, as one whose GIL native code keeps.
        sockets: Its open sockets, by descriptor.
        ready: The sockets that can be read.
        visit_at: When it looks at its sockets and timers next.
        countdown: After how many actions the process crashes; 0 for never.
        main: Plans the next step of the main thread, if user code runs here.
    """

    def __init__(
        self,
        world: World,
        name: str,
        network: Network,
        membership: Membership,
        on_control: Callable[[Any], None],
        on_node_lost: Callable[[str], None],
    ) -> None:
        self.world = world
        self.name = name
        self.network = network
        self.pid = world.new_pid()
        self.dead = False
        self.stalled_until = 0.0
        self.sockets: dict[int, Socket] = {}
        self.ready: dict[int, Socket] = {}
        self.main: Callable[[], None] | None = None
        self.countdown = 0
        self.on_crash: Callable[[], None] = self.die
        self.exit: Callable[[int], None] = lambda _: self.die()
        self.engine: Any = None
        self.verbs: Any = None
        self._place = zlib.crc32(name.encode())
        self._visits = 0
        self._tries = 0
        self.visit_at = NEVER
        self._arriving: deque[Socket] = deque()
        self.is_listening = False
        world.acting, before = self, world.acting
        try:
            super().__init__(membership, on_control, on_node_lost, STORE_LIMIT)
        finally:
            world.acting = before
        self.door.reach = self._reach  # type: ignore[method-assign]
        self.reactor.guard = _Guard(self)
        if membership.process_id:
            network.processes[membership.process_id] = self

    def begin(self, process_id: bytes, directory: str) -> None:
        self.membership.enter(process_id, directory)
        self.network.processes[process_id] = self

    def make_selector(self) -> Selector:
        return Selector(self)

    def make_bell(self) -> Bell:
        return Bell(self.world.new_fd())

    def jitter(self) -> float:
        """Return a short time after which this process does its next step."""
        self._visits += 1
        return JITTER_S * (self.world.number(self._place, self._visits) % 1000 + 1) / 1000

    def flips(self) -> bool:
        """Return whether this process finds its sockets in the other order this time."""
        return bool(self.world.number(self._place, self._visits) >> 40 & 1)

    # ------------------------------------------------------------------------------------------------------- looking

    def look_ahead(self) -> None:
        reactor = self.reactor
        if not reactor.closed:
            now = self.world.now
            if reactor.dirty or reactor.trash or reactor.left_steps.targets or reactor._selector.has_ready:
                when = now + self.jitter()
            else:
                when = reactor._timers.due
            when = max(when, self.stalled_until, now)
            if when < self.visit_at:
                self.visit_at = when
                self.world.visit(when, self)
        if self.main is not None:
            self.main()

    def visit(self) -> None:
        """Look at the sockets and timers. What has come while the process was stalled is found after that."""
        self.visit_at = NEVER
        if self.stalled_until <= self.world.now and not self.reactor.closed:
            try:
                self.reactor.visit()
            except Left:
                pass

    # ----------------------------------------------------------------------------------------------------- connecting

    def _reach(self, process_id: bytes, timeout: float) -> Any:
        return self.network.connect(self, process_id)

    def _search(self, last: messages.Welcome | None, found: Callable[[Any], None]) -> None:
        """Search for the next node step by step, as `NextNode` does on a thread."""
        self.is_listening = True
        self._tries += 1
        number = self.world.number(self._place, self._tries << 32)
        late_s = LATE_S * (number >> 20) % 1000 / 1000 if not number % _LATE_IN else 0.0
        self._search_in(late_s, found)

    def _search_in(self, delay_s: float, found: Callable[[Any], None]) -> None:
        self._tries += 1
        delay_s += SEARCH_S * (self.world.number(self._place, self._tries << 32) % 1000 + 1) / 1000
        when = max(self.world.now + delay_s, self.stalled_until)
        self.world.at(when, self, lambda: self._look_for_node(found), "searches for the next node")

    def _look_for_node(self, found: Callable[[Any], None]) -> None:
        if self.membership.has_left:
            return
        sock = self.network.machine.find_or_start(self) if self.stalled_until <= self.world.now else None
        if sock is None:
            self._search_in(0.0, found)
        else:
            found(sock)

    def arrive(self, sock: Socket) -> None:
        """Be connected to."""
        self._arriving.append(sock)
        self.reactor.discard(self._admit)

    def _admit(self) -> None:
        if self._arriving:
            self.peers.admit(self._arriving.popleft())  # type: ignore[arg-type]

    # ---------------------------------------------------------------------------------------------------- user code

    def tell(self, what: str, number: int) -> int:
        """Note what a program does; return how often the call has begun."""
        ledger = self.world.ledger
        self.world.note(f"{self.name} {what} {number}")
        if what == "begins":
            return ledger.begins(self.name, number)
        if what == "ends":
            ledger.ends(number)
        return 0

    def flush(self, timeout: float = 0.0) -> None:
        """Do nothing: a worker that leaves lives on until all is sent, see `SimulatedWorker`."""

    # ------------------------------------------------------------------------------------------------------------ end

    def die(self) -> None:
        """End as a killed process does: the kernel closes the sockets, and no code of the process runs any more."""
        if self.dead:
            return
        self.world.loses_frames |= any(map(_loses_frames, [*self.peers.incoming(), *self.peers.outgoing()]))
        self.dead = True
        self.membership.has_left = True
        self.reactor.closed = True
        for sock in list(self.sockets.values()):
            sock.close()
        self.network.machine.ended(self)


def _loses_frames(connection: Any) -> bool:
    """Return whether the other process may never get frames that this one has sent or would send.

    A cut drops bytes before the sender can find it: then the process does not know that it has frames to send again.
    """
    sock = connection.sock
    return bool(connection._kept) and (connection.broken or sock is None or sock.has_lost_bytes)
