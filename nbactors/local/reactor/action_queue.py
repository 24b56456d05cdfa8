"""Runs the actions of a queue so that no asynchronous exception loses an action."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice


def run_all(queue: deque[Callable[[], None]], blame: Callable[[BaseException, Callable[[], None]], None]) -> None:
    """Take each action out of the queue and run it, until the queue is empty.

    A handler or a finalizer that interrupts this function may call it for the same queue: it runs the rest.

    Args:
        queue: The actions.
        blame: Called with an exception and the action that raised it, see `Reactor.blame`.
    """
    while queue:
        is_taken = False
        try:
            # No call comes between taking an action out and the inner `try`, so no asynchronous exception can lose the
            # action. That is why this is no function of its own: an exception can come where a function is entered.
            for action in islice(iter(queue.popleft, None), 1):
                is_taken = True
                try:
                    action()
                except BaseException as error:  # noqa: BLE001 - see `Blame`
                    blame(error, action)
        except IndexError:
            if is_taken:
                raise
            # The queue is empty: a handler that interrupted this loop has run the last action.
