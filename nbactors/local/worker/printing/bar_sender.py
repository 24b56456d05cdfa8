"""`NodeBarSender`: sends the states of a call's bars to the node."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbactors.frontend.bar import BarState
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.reactor.reactor import Reactor


class NodeBarSender:
    """See `nbactors.in_worker.tqdm_bars.BarSender`.

    Args:
        node: Gets the states.
        reactor: Sends a state later.
        origin: The origin of the call.
        call: The id of the call in hexadecimal digits, empty if it cannot be cancelled.
    """

    def __init__(self, node: NodeLink, reactor: Reactor, origin: int, call: str) -> None:
        self._node = node
        self._reactor = reactor
        self._origin = origin
        self._call = call

    @classmethod
    def of_caller(cls, node: NodeLink, reactor: Reactor, caller: Callable[[], tuple[Any, int]]) -> NodeBarSender | None:
        """Return the sender for the calling code, None if no cell has made its call.

        Args:
            node: Gets the states.
            reactor: Sends a state later.
            caller: Returns the job of the calling code, None for none, and the origin of its calls.
        """
        job, origin = caller()
        return cls(node, reactor, origin, job.cancel_id if job is not None else "") if origin else None

    def send(self, state: BarState, closed: bool) -> None:
        """Send a state; the last one without waiting for a lock."""
        message = messages.Bar.of(state._replace(cell=self._origin, call=self._call))
        if closed:
            self._reactor.discard(lambda: self._node.send_now(message))
        else:
            self._node.send_now(message)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back after `delay` seconds."""
        self._reactor.call_later(delay, callback)
