"""`DisplaySender`: sends IPython's displays to the node, for the calling cell."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from nbactors.in_worker.ipython_display import MAX_CONTENT, too_large
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.connections.node_link import NodeLink
    from nbactors.local.reactor.reactor import Reactor


class DisplaySender:
    """See `nbactors.in_worker.ipython_display.Sender`. Any thread.

    Args:
        node: Gets the displays.
        reactor: Tells which thread may not wait for the node.
        origin: Returns the origin of a call that is made now.
        end_lines: Ends the calling thread's unfinished lines, so that they show before a display.
    """

    def __init__(
        self, node: NodeLink, reactor: Reactor, origin: Callable[[], int], end_lines: Callable[[], None]
    ) -> None:
        self._node = node
        self._reactor = reactor
        self._origin = origin
        self._end_lines = end_lines

    @property
    def is_called_by_notebook(self) -> bool:
        """Whether the calling code runs in a call of a cell."""
        return bool(self._origin())

    def show(self, data: Any, metadata: Any, transient: Any, update: bool) -> None:
        """Show a MIME bundle; with `update`, in place of the display with the same display_id."""
        content = {"data": data, "metadata": metadata or {}, "transient": transient or {}}
        packed = msgspec.json.encode(content, enc_hook=repr)
        if len(packed) > MAX_CONTENT:
            content.update(data=too_large(len(packed)), metadata={})
            packed = msgspec.json.encode(content, enc_hook=repr)
        self._send(packed, "update" if update else "show")

    def clear(self, wait: bool) -> None:
        """Clear the cell's output: at once, or with `wait` when the next display comes."""
        self._send(b"{}", "clear later" if wait else "clear")

    def _send(self, content: bytes, action: str) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._end_lines()
        origin = self._origin()
        if self._reactor.in_background_thread():
            # A callback of a reference may run on this thread, which would have to read the answer itself.
            self._node.send_now(messages.Display(0, origin, content, action))
            return
        self._node.request(lambda rid: messages.Display(rid, origin, content, action))
