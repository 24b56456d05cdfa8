"""The node's event loop: waits for ready descriptors, or for a deadline.

It is not asyncio, because importing asyncio takes longer than everything else that a node does before it listens, and
more memory than all its records.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable

_LONGEST_WAIT_S = 3600.0
"""The longest wait, in seconds. The system's limit is 24 days, above which `select` raises."""

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

Callback = Callable[[int], None]


class Loop:
    """Calls callbacks when descriptors are ready. Used by one thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, descriptor: int, mask: int, callback: Callback) -> None:
        """Call `callback(ready mask)` whenever the descriptor is ready."""
        registered = self._selector.get_map().get(descriptor)
        if registered is None:
            self._selector.register(descriptor, mask, callback)
        elif registered.events != mask or registered.data is not callback:
            self._selector.modify(descriptor, mask, callback)

    def unwatch(self, descriptor: int) -> None:
        """End the watching of a descriptor, if it is watched."""
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def turn(self, timeout_s: float | None) -> None:
        """Wait until a descriptor is ready, at most `timeout_s` seconds, and call the callbacks."""
        timeout_s = None if timeout_s is None else min(timeout_s, _LONGEST_WAIT_S)
        for key, mask in self._selector.select(timeout_s):
            # An earlier callback may have ended the watching of this descriptor.
            if self._selector.get_map().get(key.fd) is key:
                key.data(mask)

    def close(self) -> None:
        """Close the selector."""
        self._selector.close()
