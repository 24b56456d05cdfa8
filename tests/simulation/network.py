"""`Network`: connections between the processes of a simulation, and what goes wrong with them."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from nbactors.local.wire.ids import socket_name
from simulation.plan import Break, Cut, Delay, Refuse
from simulation.sockets import Slow, Socket, Weather
from simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.machine import Machine
    from simulation.process import SimulatedProcess


class Network:
    """Makes the connections.

    Args:
        weather: The delays of bytes.
        faults: What goes wrong. Connections between processes are counted in the order of their making, from 0.

    Attributes:
        processes: All processes that were ever there, by id.
        machine: Where the processes find the node.
    """

    def __init__(self, world: World, weather: Weather, faults: list[Any]) -> None:
        self._world = world
        self._weather = weather
        # The node reads all that has arrived in each turn of its loop, so no event that it has timed comes before.
        self._indoors = weather._replace(odd_s=min(weather.odd_s, 0.05))
        self.processes: dict[bytes, SimulatedProcess] = {}
        self.machine: Machine
        self._cuts = {(fault.link, fault.is_answer): fault for fault in faults if isinstance(fault, Cut)}
        self._slow = {(fault.link, fault.is_answer): fault for fault in faults if isinstance(fault, Delay)}
        self._refused = {fault.link for fault in faults if isinstance(fault, Refuse)}
        self._made: list[Socket] = []
        self._pairs: Counter[str] = Counter()

    def connect(self, process: SimulatedProcess, process_id: bytes) -> Socket:
        """Connect a process to another one.

        Raises:
            OSError: That process has ended, or does not take the connection now.
        """
        other = self.processes.get(process_id)
        if other is None or other.dead or not other.is_listening:
            raise ConnectionRefusedError(process_id.hex())
        link = len(self._made)
        if link in self._refused:
            self._refused.discard(link)
            raise BlockingIOError("the queue of connections is full")
        ours, theirs = self.pair(process, other)
        self._made.append(ours)
        self._world.note(f"{process.name} connects to {other.name}: link {link}")
        for sock, is_answer in ((ours, False), (theirs, True)):
            cut, slow = self._cuts.get((link, is_answer)), self._slow.get((link, is_answer))
            if cut is not None:
                sock.cut_at = cut.bytes
            if slow is not None:
                sock.slow = Slow(slow.first, slow.first + slow.count, slow.seconds)
        other.arrive(theirs)
        return ours

    def has_listener(self, name: str) -> bool:
        """Return whether a process listens at the socket of this name."""
        return any(
            socket_name(process_id) == name and process.is_listening and not process.dead
            for process_id, process in self.processes.items()
        )

    def break_link(self, fault: Break) -> None:
        """Break a connection, if it was made."""
        if fault.link < len(self._made):
            self._made[fault.link].cut()

    def pair(self, one: Any, other: Any, on_arrival: Callable[[bytes], None] | None = None) -> tuple[Socket, Socket]:
        """Return two connected sockets; `on_arrival` is called with what arrives at the second one."""
        name = f"{one.name}>{other.name}"
        self._pairs[name] += 1
        place = zlib.crc32(f"{name}#{self._pairs[name]}".encode())
        weather = self._weather if on_arrival is None else self._indoors
        ours = Socket(self._world, one, place, weather)
        theirs = Socket(self._world, other, place ^ 0x55555555, weather, on_arrival)
        ours.peer, theirs.peer = theirs, ours
        return ours, theirs
