"""The frames of all threads are read while the garbage collector has much to do."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import faulthandler, gc, threading
from nbactors.in_worker.thread_frames import current_frames

class Cycle:
    def __init__(self):
        self.local, self.itself = threading.local(), self
        self.local.value = 1

stop = threading.Event()
for _ in range(40):
    threading.Thread(target=stop.wait, daemon=True).start()
gc.collect()
gc.disable()
for _ in range(50):
    Cycle()
faulthandler.dump_traceback_later(20, exit=True)  # the process has stopped, with all its threads
gc.set_threshold(gc.get_count()[0] + 20, 1, 1)  # so many frames later the collector runs
gc.enable()
print(len(current_frames()), gc.isenabled())
gc.disable()
print(len(current_frames()), gc.isenabled())
"""


def test_the_collector_does_not_run_within_and_is_as_before_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("41 True\n41 False\n", "")
