"""The signal that interrupts the main thread of a worker."""

from __future__ import annotations

import signal

INTERRUPT: int = signal.SIGRTMIN + 10 if hasattr(signal, "SIGRTMIN") else signal.SIGUSR1
"""Ray blocks SIGINT in its workers, and user code may have handlers of its own for SIGUSR1 and SIGUSR2. Where there are
no real-time signals, it is SIGUSR1."""
