"""Helpers for tests of nbactors and of programs that use nbactors.

`check_leaks` fails a test that leaves a process, thread, file descriptor, shared memory or socket file behind.
`eventually` waits for a condition that has no event.
"""

from __future__ import annotations

from nbactors.testing.leaks import LeakError, check_leaks
from nbactors.testing.polling import eventually

__all__ = ["LeakError", "check_leaks", "eventually"]
