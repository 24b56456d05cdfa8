"""`PageMap`: which units of an arena are in use. No input or output here."""

from __future__ import annotations

FREE, USED = b"\0", b"\1"


class PageMap:
    """The units of an arena in the order of their addresses, one byte for each. A block is a run of units.

    A block is taken at the lowest address where it fits. So the blocks stay together at low addresses, where the pages
    were written before, and neighbours that are free are one free run without any work.

    The map is an immutable string of bytes, and one store publishes a change of it. So a signal handler, a finalizer or
    another thread that interrupts a change finds the map before or after the change; the interrupted change is then
    done again.

    Attributes:
        units: The map.
        used: The number of units in use.
    """

    __slots__ = ("_unfit", "units", "used")

    def __init__(self, count: int) -> None:
        self.units = bytes(count)
        self.used = 0
        self._unfit = (b"", 0)
        """A map, and a number of units that does not fit into it: a full arena is not searched again and again."""

    def take(self, count: int) -> int:
        """Take the first free run of `count` units; return its first unit, or -1 if there is none."""
        free, used = FREE * count, USED * count
        while True:
            units = self.units
            searched, unfit = self._unfit
            if searched is units and count >= unfit:
                return -1
            start = units.find(free)
            if start < 0:
                self._unfit = (units, count)
                return -1
            changed = units.replace(free, used, 1)
            if self.units is units:
                self.units = changed
                self.used += count
                return start

    def take_at(self, start: int, count: int) -> bool:
        """Take these units. Return False if one of them is in use."""
        is_taken = self._swap(start, FREE * count, USED * count)
        if is_taken:
            self.used += count
        return is_taken

    def give(self, start: int, count: int) -> None:
        """Give units back that are in use."""
        if self._swap(start, USED * count, FREE * count):
            self.used -= count

    def take_all(self) -> bool:
        """Take the whole arena. Return False if a unit is in use."""
        units = self.units
        changed = USED * len(units)
        if units.count(USED):
            return False
        if self.units is units:
            self.units = changed
            self.used += len(changed)
            return True
        return False

    def _swap(self, start: int, expected: bytes, wanted: bytes) -> bool:
        end = start + len(expected)
        while True:
            units = self.units
            if units[start:end] != expected:
                return False
            changed = b"".join((units[:start], wanted, units[end:]))
            if self.units is units:
                self.units = changed
                return True
