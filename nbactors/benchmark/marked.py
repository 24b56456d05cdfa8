"""The processes of one measurement, wherever they hang in the process tree: they inherited a variable."""

from __future__ import annotations

import contextlib
import os

import psutil

LEAVE_S = 10.0


class Marked:
    """A mark: an environment variable with a name of its own."""

    def __init__(self) -> None:
        self.name = f"NBACTORS_BENCHMARK_{os.urandom(8).hex()}"

    def processes(self) -> list[psutil.Process]:
        """Return the living processes of this user that inherited the mark."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if self.name in process.environ():
                    found.append(process)
        return found

    def end(self) -> None:
        """Wait until all have left; what does not leave by itself is killed."""
        _, living = psutil.wait_procs(self.processes(), LEAVE_S)
        for process in living:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(living, LEAVE_S)
