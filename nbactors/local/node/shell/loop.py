"""The node's event loop: descriptors that are ready, and a deadline.

asyncio would do as well, but importing it takes longer than all else that a node does before it listens, and more
memory than all that it remembers.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable

_LONGEST_WAIT_S = 3600.0
"""The system's own limit is 24 days; beyond that `select` raises."""

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

Callback = Callable[[int], None]


class Loop:
    """Calls back when descriptors are ready. One thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, descriptor: int, mask: int, callback: Callback) -> None:
        """Have `callback(ready mask)` called whenever the descriptor is ready; a mask of 0 ends that."""
        registered = self._selector.get_map().get(descriptor)
        if not mask:
            if registered is not None:
                self._selector.unregister(descriptor)
        elif registered is None:
            self._selector.register(descriptor, mask, callback)
        elif registered.events != mask or registered.data is not callback:
            self._selector.modify(descriptor, mask, callback)

    def turn(self, timeout_s: float | None) -> None:
        """Wait until something is ready, or for `timeout_s`; call back."""
        timeout_s = None if timeout_s is None else min(timeout_s, _LONGEST_WAIT_S)
        for key, mask in self._selector.select(timeout_s):
            # An earlier callback of this turn may have ended this one.
            if self._selector.get_map().get(key.fd) is key:
                key.data(mask)

    def close(self) -> None:
        """Release the selector."""
        self._selector.close()
