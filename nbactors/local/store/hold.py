"""`Hold`: counts the uses of a block."""

from __future__ import annotations

from collections.abc import Callable

from nbactors.local.store.arena import Block


class Hold:
    """Counts the uses of a block in this process: by its value, by its views, and by holds of receivers.

    Args:
        block: The block.
        size: Bytes of the value, which may end before the block.
        on_free: Called with (hold) when the count falls to zero.

    Attributes:
        lost: Whether a process whose connection broke may still read the block.
        is_valued: Whether the value is there. If so, and if the count is 1, nobody reads the block.
        on_disk: The copy of a value that was spilled once.
        is_aside: Whether the spiller passes the value over until its count is 1 again.
    """

    __slots__ = ("block", "count", "is_aside", "is_valued", "lost", "on_disk", "on_free", "size")

    def __init__(self, block: Block, size: int, on_free: Callable[[Hold], None]) -> None:
        self.block = block
        self.size = size
        self.on_free = on_free
        self.count = 1
        self.lost = self.is_aside = False
        self.is_valued = True
        self.on_disk: Block | None = None
