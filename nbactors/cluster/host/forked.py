"""Children that user code forks in a worker: SIGTERM ends them. They would wait for ever in the handler of Ray."""

from __future__ import annotations

import os
import signal
import threading

_masks = threading.local()


def watch_forks() -> None:
    """Have children of this process take SIGTERM as any process does. Once in a process."""
    # The signal is blocked during the fork: Python drops one that arrives before the child has its own handler.
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_become_child)


def _block() -> None:
    _masks.own = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.own)


def _become_child() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _unblock()
