"""Cancellation: of tasks that run or wait, of asyncio methods, of children, and what it does not end."""

import asyncio
import os
import tempfile
import time

import ray

ray.init(num_cpus=2)


def outcome(ref):
    try:
        return ray.get(ref, timeout=30)
    except ray.exceptions.TaskCancelledError:
        return "cancelled"
    except ray.exceptions.RayTaskError as error:
        return type(error.cause).__name__
    except ray.exceptions.WorkerCrashedError:
        return "worker crashed"


@ray.remote
def sleep(path=None):
    if path:
        open(path, "w").close()
    for _ in range(36_000):
        time.sleep(0.1)


@ray.remote
def add(left, right):
    return left + right


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)


folder = tempfile.mkdtemp()
running = sleep.remote(os.path.join(folder, "running"))
wait_for(os.path.join(folder, "running"))
ray.cancel(running)
print("a running task:", outcome(running))

blocked = [sleep.remote(), sleep.remote()]
waiting = sleep.remote()
ray.cancel(waiting)
print("a waiting task:", outcome(waiting))
for ref in blocked:
    ray.cancel(ref, force=True)
print("forced:", {outcome(ref) in ("cancelled", "worker crashed") for ref in blocked})

done = add.remote(1, 2)
print("result:", ray.get(done))
ray.cancel(done)
print("a task that has ended:", outcome(done))


@ray.remote
class Service:
    def __init__(self):
        self.ended = []

    async def wait(self, name):
        self.ended.append(f"{name} begins")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.ended.append(f"{name} is cancelled")
            raise

    async def log(self):
        return self.ended


service = Service.remote()
ref = service.wait.remote("call")
while ray.get(service.log.remote()) != ["call begins"]:
    time.sleep(0.01)
ray.cancel(ref)
print("an asyncio method:", outcome(ref))
print("the actor lives:", ray.get(service.log.remote()))
try:
    ray.cancel(service.wait.remote("other"), force=True)
except ValueError as error:
    print("force of an actor's call:", type(error).__name__)
