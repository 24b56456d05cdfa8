"""`Forks`: children read what this process had mapped, so no block of that time is reused before their end."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from threading import get_ident


class _Child:
    """A child that was forked, or is about to be.

    Attributes:
        end: The read end of a pipe. The child, and its own children, have the write end: until they exit or run another
            program. The end of the file is their end.
        number: How many forks there were, with this one; None while the child is being forked.
        actions: What to do after its end.
        ended: Whether it has ended.
    """

    __slots__ = ("actions", "end", "ended", "number", "write_end")

    def __init__(self, end: int, write_end: int) -> None:
        self.end = end
        self.write_end = write_end
        self.number: int | None = None
        self.actions: deque[Callable[[], None]] = deque()
        self.ended = False


class Forks:
    """The living children of this process, which was forked while it had large values.

    Args:
        watch: Calls a function on the leader's thread when a descriptor can be read. Any thread.
        unwatch: Undoes that.

    Attributes:
        count: How many forks there were. What is made now is not in the memory of these children.
        children: The living children.
    """

    def __init__(self, watch: Callable[[int, Callable[[], None]], None], unwatch: Callable[[int], None]) -> None:
        self._watch = watch
        self._unwatch = unwatch
        self.children: list[_Child] = []
        self._begun: dict[int, _Child] = {}
        self.count = 0

    def before(self) -> None:
        """Guard what is mapped. Called on the thread that forks, before it does."""
        try:
            child = _Child(*os.pipe())
        except OSError:  # no descriptor is left: the child is unknown, and never ends
            self.children.append(_Child(-1, -1))
            return
        self._begun[get_ident()] = child
        self.children.append(child)

    def in_parent(self) -> None:
        """Watch the child. Called on the thread that has forked."""
        # Other threads may have taken blocks since `before`, which the child may have mapped: they count, too.
        number = self.count = self.count + 1
        child = self._begun.pop(get_ident(), None)
        if child is None:
            return
        child.number = number
        os.close(child.write_end)
        self._watch(child.end, lambda: self._on_end(child))

    def in_child(self) -> None:
        """Forget the parent's children. This one keeps the write end of its pipe open."""
        for child in self.children:
            if child.end >= 0:
                os.close(child.end)
        self.children.clear()

    def guards(self, born: int, action: Callable[[], None]) -> bool:
        """Return whether a child has what was made at a value of `count`; if so, do `action` after its end.

        Any thread. `action` is called on the leader's thread, and asks again.
        """
        for child in self.children:
            if child.number is None or born < child.number:
                child.actions.append(action)
                if child.ended:  # perhaps its actions were done just before
                    self._act(child)
                return True
        return False

    def _on_end(self, child: _Child) -> None:
        if child.ended:
            return
        child.ended = True
        self.children.remove(child)
        self._unwatch(child.end)
        os.close(child.end)
        self._act(child)

    @staticmethod
    def _act(child: _Child) -> None:
        while child.actions:
            try:
                action = child.actions.popleft()
            except IndexError:  # another thread was faster
                return
            action()

    def close(self) -> None:
        """Watch no child any more, since this process reuses no block, and do what was left for their ends."""
        children, self.children = self.children, []
        for child in children:
            if child.end >= 0 and not child.ended:
                self._unwatch(child.end)
                os.close(child.end)
            child.ended = True
            self._act(child)
