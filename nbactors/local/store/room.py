"""`Room`: how much memory a store may take."""

from __future__ import annotations

AHEAD = 0.75
"""The share of the room above which more is asked for, before it is needed."""


class Room:
    """Room of a fixed size.

    Args:
        lent: Bytes that the store may take.

    Attributes:
        lent: As above.
        most: The most bytes that it could ever get.
        is_short: Whether there is no more than this at present.
        owes: Whether the store has to spill until it takes no more than `lent`.
    """

    def __init__(self, lent: int) -> None:
        self.lent = self.most = lent
        self.is_short = True
        self.owes = False

    def ask(self, wanted: int) -> None:
        """Ask for room for `wanted` bytes in all, and wait for the answer. Any thread."""

    def look_ahead(self, taken: int) -> None:
        """Ask for more if `taken` bytes are nearly all; does not wait. Any thread."""

    def settle(self, taken: int) -> None:
        """Note that `taken` bytes are left after the store has spilled what it owes, or has tried. Any thread."""

    def give_back(self, taken: int) -> None:
        """Give back what `taken` bytes do not need. Any thread."""
