"""`Submitter`: the parts of a process that make its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from nbactors.local.membership import Membership
    from nbactors.local.objects.home import Home
    from nbactors.local.objects.values import Values
    from nbactors.local.reactor.reactor import Reactor
    from nbactors.local.task_events.pending_events import PendingEvents


class Submitter(NamedTuple):
    """The parts of a process that each call needs, to any actor or worker.

    Attributes:
        home: The home of the results' entries.
        values: Packs the arguments.
        reactor: The event loop.
        membership: Tells whether this process has left the node.
        numbers: Gives numbers to calls and objects.
        caller: Returns the job that the calling code belongs to, None for none, and the origin of a call that is made
            now, see `messages.Call`. Any thread.
        events: Records the task events of calls that have not returned.
    """

    home: Home
    values: Values
    reactor: Reactor
    membership: Membership
    numbers: Iterator[int]
    caller: Callable[[], tuple[Any, int]]
    events: PendingEvents
