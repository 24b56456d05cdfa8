"""Taking out of a queue what is to be done, so that no exception from outside loses it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")


def do_all(queue: deque[_T], do: Callable[[_T], None]) -> None:
    """Take each item out and do it, until none is left.

    A handler or a finalizer that interrupts this may do the same with the rest.

    Args:
        queue: The items.
        do: Called with each of them. From its beginning on the item is its own affair.
    """
    while queue:
        is_taken = False
        try:
            # The loop takes an item out and into the variable in one go: nothing comes between.
            for item in islice(iter(queue.popleft, None), 1):
                is_taken = True
                do(item)
        except IndexError:
            if is_taken:
                raise
            # A handler that has interrupted this has taken the last one.
