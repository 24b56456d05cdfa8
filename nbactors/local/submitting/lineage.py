"""The lineage of a result: whether a call runs again whose result was lost. A table.

The lineage of a value is all that is needed to compute it again: the function or method, the arguments, and the
references among them, whose values it keeps. A `PendingCall` holds it, from the submission until the result is with the
owner. It is not needed longer, since a worker that has answered can take no value along when it dies: the bytes lie in
the answer, or in an arena whose descriptor came before it, and the kernel keeps an arena as long as one process has a
descriptor of it. Arguments are kept in the same way. So there is no chain of lost values to follow, and a large
argument is freed with the call, not with the last result that was computed from it.

A result can be lost on its way alone: the worker has thrown the answer away because its caller was out of reach for too
long (`failures.loss`). Then the call runs again, if it has a retry:

    SENT ──loss──► QUEUED     it is cancelled by nobody, and a retry is left: this counts as a retry
    SENT ──loss──► FINISHED   else, with ObjectReconstructionFailedError in place of each lost value

Values that have arrived stay, although the call computes them a second time: an object is immutable.

Values that `put` has stored, and results of calls that a worker or an actor has made, belong to that process. They have
no lineage in another one: they end with their owner (OwnerDiedError).
"""

from __future__ import annotations

from typing import Final

RUNS, NO_RETRY, CANCELED = "", "no_retry", "canceled"
"""What becomes of a call: it runs again, or the reason why it does not, for `reasons.unreconstructable`."""

TABLE: Final[dict[tuple[bool, bool], str]] = {
    (False, False): NO_RETRY,
    (False, True): RUNS,
    (True, False): CANCELED,
    (True, True): CANCELED,
}
"""By whether the call was cancelled, and whether it has a retry left."""
