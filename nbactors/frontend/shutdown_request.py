"""The shutdown request: a front end interrupts a kernel before it asks the kernel to end, for a restart, too.

An interrupt alone does not tell whether the user presses the stop button or restarts the kernel. So the calls that are
to survive a restart are cancelled only if no request follows within `grace_s`.
"""

from __future__ import annotations

KERNEL_GRACE_S = 1.0
"""Seconds. A request follows its interrupt within milliseconds, on a busy machine later."""


class ShutdownRequest:
    """The request of this process. There is one, `SHUTDOWN_REQUEST`.

    Attributes:
        grace_s: Seconds from an interrupt to the cancellation of calls that survive this process. 0 where no front end
            is known to interrupt first, as in a script.
        is_seen: Whether the front end has asked this process to end.
    """

    __slots__ = ("grace_s", "is_seen")

    def __init__(self) -> None:
        self.grace_s = 0.0
        self.is_seen = False


SHUTDOWN_REQUEST = ShutdownRequest()
