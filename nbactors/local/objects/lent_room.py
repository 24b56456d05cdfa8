"""`LentRoom`: the room for the object store that the node lends to this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from nbactors.local import cgroups
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.store.room import AHEAD, Room
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.connections.node_link import NodeLink

ANSWER_S = 2.0
"""Seconds to wait for the node. If it is gone, the process goes on with what it has, and with `SLACK`."""

SLACK = 64 << 20
"""Bytes that a process takes without the node, if the node does not answer."""

SHORT_S = 1.0
"""Seconds for which a process does not ask again after the node had no more."""

KEEP = 64 << 20
"""Bytes that an idle process keeps beside what it has taken."""


class LentRoom(Room):
    """Room that grows and shrinks. The node lends it in large pieces, so few puts ask the node.

    Args:
        node: The connection to the node.
        wait: Waits until a waiter is done, for a number of seconds.
        may_wait: Tells whether the calling thread may wait, see `Reactor.leads`.
        lent: Bytes at the beginning.
    """

    def __init__(
        self, node: NodeLink, wait: Callable[[Waiter, float], bool], may_wait: Callable[[], bool], lent: int = 0
    ) -> None:
        super().__init__(lent)
        self.is_short = False
        self.most = max(lent, 1 << 62)
        self._node = node
        self._wait = wait
        self._may_wait = may_wait
        self._open: deque[int] = deque()
        """What this process has asked for and the node has not answered."""
        self._asked = 0
        self._lent_by_node = lent
        self._short_until = 0.0
        self._waiting: list[Waiter] = []

    def ask(self, wanted: int) -> None:
        """See the base class."""
        if wanted <= self.lent or self.owes or (self.is_short and monotonic() < self._short_until):
            return
        waiter = Waiter()
        self._waiting.append(waiter)
        if not self._open or self._asked < wanted:
            self._send(wanted)
        if not self._may_wait():
            return
        if self._node.lost or not self._wait(waiter, ANSWER_S):
            self.is_short = True
            self._short_until = monotonic() + SHORT_S
            self.lent = max(self.lent, min(wanted, self._lent_by_node + SLACK))

    def look_ahead(self, taken: int) -> None:
        """See the base class."""
        if taken > self.lent * AHEAD and not (self._open or self.is_short or self.owes):
            self._send(self.lent + 1)

    def give_back(self, taken: int) -> None:
        """See the base class."""
        if self.lent > taken + 2 * KEEP and not self._open and not self.owes:
            self.lent = taken + KEEP
            self.is_short = False
            self._send(self.lent)

    def give_unused(self, wanted: int, taken: Callable[[], int]) -> int:
        """Take unused room out of use, for the node to have it back. The leader's thread.

        While the node has a question, its answer may be on the way, and would put the room into use again.

        Args:
            wanted: Bytes that the node wants.
            taken: Returns how many bytes the store takes now.

        Returns:
            The number of bytes.
        """
        if self._open or self.owes:
            return 0
        before = self.lent
        self.lent = max(before - wanted, min(before, taken()))
        # Another thread may have taken room meanwhile, which it has found in use.
        self.lent = max(self.lent, min(before, taken()))
        returned = max(self._lent_by_node - self.lent, 0)
        self._lent_by_node -= returned
        return returned

    def owe(self, wanted: int, share: int) -> bool:
        """Take room out of use that the store uses, for the node to have it when the store has spilled enough.

        Until `settle` the node lends this process no more. The leader's thread.

        Args:
            wanted: Bytes that the node wants.
            share: Bytes that this process keeps.

        Returns:
            Whether there is anything to spill.
        """
        left = max(self.lent - wanted, share)
        if self._open or self.owes or left >= self.lent:
            return False
        self.owes = self.is_short = True
        self.lent = left
        return True

    def settle(self, taken: int) -> None:
        """See the base class."""
        if self.owes:
            self.lent = max(self.lent, min(taken, self._lent_by_node))
            self.owes = False
            self._send(self.lent)

    def declare(self) -> messages.AskRoom:
        """Return what tells a node that has begun anew how much room this process has. The leader's thread."""
        self._asked = self.lent
        self._open.clear()
        self._open.append(self.lent)
        return messages.AskRoom(self.lent, self.lent)

    def _send(self, wanted: int) -> None:
        self._asked = wanted
        self._open.append(wanted)
        self._node.send_now(messages.AskRoom(self.lent, wanted))

    def on_room(self, message: messages.Room) -> None:
        """Take the node's answer. The leader's thread."""
        try:
            self._open.popleft()
        except IndexError:  # the last node has answered after all
            pass
        # The node may be in another cgroup than this process, whose own then bounds it, too.
        own = message.most if message.is_named else min(message.most, int(cgroups.memory() * messages.DEFAULT_SHARE))
        self.lent = self._lent_by_node = min(message.lent, own)
        self.most = own
        self.is_short = self.lent < self._asked
        if self.is_short:
            self._short_until = monotonic() + SHORT_S
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.finish()
