"""Helpers for tests of nbactors and of programs that use nbactors.

`check_leaks` fails a test that leaves a process, thread, file descriptor, shared memory or socket file behind.
`History` records what submitters and actors do, also processes that are killed, and checks what the runtime guarantees.
`eventually` waits for a condition that has no event.
"""

from __future__ import annotations

from nbactors.testing.history import History, HistoryError, outcome_of
from nbactors.testing.leaks import LeakError, check_leaks
from nbactors.testing.polling import eventually

__all__ = ["History", "HistoryError", "LeakError", "check_leaks", "eventually", "outcome_of"]
