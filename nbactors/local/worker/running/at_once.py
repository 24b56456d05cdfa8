"""Calls that bypass an actor's queue, to look into an actor that is stuck."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbactors.local.worker.jobs.job import current

if TYPE_CHECKING:
    from nbactors.local.worker.jobs.job import Job
    from nbactors.local.worker.running.interrupts import Window

CONSTRUCT_S = 5.0
"""Seconds for which such a call waits for the constructor to return."""


def run_at_once(
    job: Job, perform: Callable[[Job], None], windows: dict[int, Window], constructed: threading.Event
) -> None:
    """Run a call in a thread of its own, whatever the actor does. Returns at once. The leader's thread.

    Args:
        job: The call.
        perform: Runs the job and answers; raises nothing.
        constructed: Set when the constructor has returned.
        windows: The table of interrupt windows; the new thread's window is in it until the thread ends.
    """

    def serve() -> None:
        ident = threading.get_ident()
        constructed.wait(CONSTRUCT_S)
        if job.begin():
            job.thread = ident
            current.set(job)
            perform(job)
            job.end()
        windows.pop(ident, None)

    threading.Thread(target=serve, name="nbactors-now", daemon=True).start()
