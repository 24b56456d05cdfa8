"""Signals and barriers between tasks by asyncio actors, and an actor that calls itself later."""

import asyncio

import ray

ray.init(num_cpus=4)


@ray.remote(num_cpus=0)
class Signal:
    def __init__(self):
        self.event = asyncio.Event()
        self.waiting = 0

    async def wait(self):
        self.waiting += 1
        await self.event.wait()
        self.waiting -= 1

    async def send(self):
        self.event.set()

    async def count(self):
        return self.waiting


@ray.remote(num_cpus=0)
class Semaphore:
    def __init__(self, value):
        self.semaphore = asyncio.Semaphore(value)
        self.held = 0
        self.most = 0

    async def acquire(self):
        await self.semaphore.acquire()
        self.held += 1
        self.most = max(self.most, self.held)

    async def release(self):
        self.held -= 1
        self.semaphore.release()

    async def statistics(self):
        return self.held, self.most


@ray.remote(num_cpus=0.5)
def wait_for(signal, name):
    ray.get(signal.wait.remote())
    return name


@ray.remote(num_cpus=0.5)
def use(semaphore, number):
    ray.get(semaphore.acquire.remote())
    try:
        return number * number
    finally:
        ray.get(semaphore.release.remote())


signal = Signal.remote()
refs = [wait_for.remote(signal, name) for name in "abc"]
while ray.get(signal.count.remote()) < 3:
    pass
print("before:", ray.wait(refs, timeout=0.1)[0])
ray.get(signal.send.remote())
print("after:", ray.get(refs))

semaphore = Semaphore.remote(2)
print("squares:", ray.get([use.remote(semaphore, number) for number in range(10)]))
held, most = ray.get(semaphore.statistics.remote())
print("held:", held, "at most two:", most <= 2)


@ray.remote
class Chain:
    def __init__(self):
        self.steps = []

    async def step(self, number):
        self.steps.append(number)
        if number:
            me = ray.get_runtime_context().current_actor
            return await me.step.remote(number - 1)
        return self.steps


print("chain:", ray.get(Chain.remote().step.remote(4)))
