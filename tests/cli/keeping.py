"""A program with actors of all kinds, for tests of the command line."""

from __future__ import annotations

KEPT = """
import threading

@ray.remote
class Worker:
    def work(self):
        pause = threading.Event()
        while not pause.wait(0.01):
            pass

    def ready(self):
        print("is ready")
        return True

ray.init(num_cpus=4, namespace="shop", log_to_driver=False)
worker = Worker.options(name="worker").remote()
twin = Worker.options(name="twin").remote()
other = Worker.options(name="twin", namespace="annex").remote()
detached = Worker.options(name="detached", lifetime="detached").remote()
ray.get([one.ready.remote() for one in (worker, twin, other, detached)])
"""
"""Two actors have the same name, in different namespaces. None is busy."""

BUSY = KEPT + "ref = worker.work.remote()\n"
"""The actor `worker` runs a call that never ends."""
