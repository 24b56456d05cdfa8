"""`Wakeup`: ends the system call of a task that Ray has cancelled.

Ray cancels a running task as `_thread.interrupt_main` does: it sets the flag that Ctrl-C sets, and sends no signal. So
a sleep or a read goes on to its end. But Python writes a byte into its wakeup descriptor when that flag is set. A
thread reads the byte, and sends the main thread a signal whose handler does nothing. The system call returns, and
Python raises the KeyboardInterrupt.
"""

from __future__ import annotations

import os
import signal
import threading
from time import sleep
from types import FrameType

from nbactors.cluster.host.interrupt_signal import INTERRUPT

PAUSES_S = (0.0, 0.05, 0.5)
"""Seconds before each of the signals. The first may come just before the main thread enters its system call."""


class Wakeup:
    """One in a process whose tasks run on its main thread."""

    def __init__(self) -> None:
        self._writes = -1

    def listen(self) -> None:
        """Note that a task begins. On its thread; on another thread than the main one it does nothing.

        User code may have taken the wakeup descriptor, as asyncio does, so each task sets it.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        if self._writes < 0:  # at the first task, since a driver has this object, too
            reads, self._writes = os.pipe()
            os.set_blocking(self._writes, False)
            signal.signal(INTERRUPT, _do_nothing)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {INTERRUPT})  # Ray blocks it
            threading.Thread(target=_read, args=(reads,), name="nbactors-wakeup", daemon=True).start()
        signal.set_wakeup_fd(self._writes, warn_on_full_buffer=False)


def _read(pipe: int) -> None:
    while True:
        if signal.SIGINT in os.read(pipe, 1024):
            for pause in PAUSES_S:
                sleep(pause)
                signal.pthread_kill(threading.main_thread().ident or 0, INTERRUPT)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    del number, frame
