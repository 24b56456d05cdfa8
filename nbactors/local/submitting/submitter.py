"""`Submitter`: what a process makes its calls with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from nbactors.local.membership import Membership
    from nbactors.local.objects.home import Home
    from nbactors.local.objects.values import Values
    from nbactors.local.reactor.reactor import Reactor


class Submitter(NamedTuple):
    """What every call of a process needs, whichever actor or worker it goes to.

    Attributes:
        home: Where the entries of the results belong.
        values: Packs the arguments.
        reactor: The event loop.
        membership: Whether this process has left.
        numbers: Gives numbers to calls and objects.
        caller: Returns the call that the calling code belongs to, None for none, and the origin of a call that is made
            now, see `messages.Call`. Any thread.
    """

    home: Home
    values: Values
    reactor: Reactor
    membership: Membership
    numbers: Iterator[int]
    caller: Callable[[], tuple[Any, int]]
