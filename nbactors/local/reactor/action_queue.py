"""Taking actions out of a queue and running them, so that no exception from outside loses one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice


def run_all(queue: deque[Callable[[], None]], blame: Callable[[BaseException, Callable[[], None]], None]) -> None:
    """Take each action out and run it, until none is left.

    A handler or a finalizer that interrupts this may do the same with the rest.

    Args:
        queue: The actions.
        blame: Called with an exception and the action that it came out of, see `Reactor.blame`.
    """
    while queue:
        is_taken = False
        try:
            # The loop takes an action out and into the variable in one go, and there is no call before the inner `try`:
            # nothing comes between. So it is no function of its own either: an exception can come when one is entered.
            for action in islice(iter(queue.popleft, None), 1):
                is_taken = True
                try:
                    action()
                except BaseException as error:  # noqa: BLE001 - see `Blame`
                    blame(error, action)
        except IndexError:
            if is_taken:
                raise
            # A handler that has interrupted this has taken the last one.
