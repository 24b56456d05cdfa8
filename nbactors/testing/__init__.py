"""What tests of programs that use nbactors may use too.

`check_leaks` fails a test that leaves a process, thread, file descriptor, shared memory or socket file behind;
`eventually` waits for what has no event of its own.
"""

from __future__ import annotations

from nbactors.testing.leaks import LeakError, check_leaks
from nbactors.testing.polling import eventually

__all__ = ["LeakError", "check_leaks", "eventually"]
