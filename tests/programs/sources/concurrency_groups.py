"""An asyncio actor with concurrency groups, and a threaded one: how many calls run at once."""

import asyncio
import threading
import time

import ray

ray.init(num_cpus=4)


@ray.remote(concurrency_groups={"io": 2, "compute": 4})
class Service:
    def __init__(self):
        self.running = {"io": 0, "compute": 0}
        self.most = {"io": 0, "compute": 0}
        self.gate = asyncio.Event()

    async def _run(self, group):
        self.running[group] += 1
        self.most[group] = max(self.most[group], self.running[group])
        await asyncio.sleep(0.2)
        self.running[group] -= 1
        return group

    @ray.method(concurrency_group="io")
    async def fetch(self):
        return await self._run("io")

    @ray.method(concurrency_group="compute")
    async def compute(self):
        return await self._run("compute")

    async def wait(self):
        await self.gate.wait()
        return "opened"

    async def open(self):
        self.gate.set()
        return "open"

    async def statistics(self):
        return self.most


service = Service.remote()
refs = [service.fetch.remote() for _ in range(6)] + [service.compute.remote() for _ in range(8)]
results = ray.get(refs)
print("results:", results.count("io"), results.count("compute"))
print("most at once:", ray.get(service.statistics.remote()))
print("another group:", ray.get(service.fetch.options(concurrency_group="compute").remote()))

waiting = service.wait.remote()
print("while it waits:", ray.wait([waiting], timeout=0.2)[0] == [], ray.get(service.open.remote()))
print("then:", ray.get(waiting))


@ray.remote(max_concurrency=3)
class Threaded:
    def __init__(self):
        self.barrier = threading.Barrier(3)

    def meet(self):
        self.barrier.wait(timeout=30)
        return threading.current_thread() is not threading.main_thread()

    def nap(self):
        time.sleep(0.01)
        return "rested"


threaded = Threaded.remote()
print("three threads meet:", len(ray.get([threaded.meet.remote() for _ in range(3)])))
print("rested:", ray.get([threaded.nap.remote() for _ in range(3)]))


async def main():
    first, second = await asyncio.gather(service.fetch.remote(), service.compute.remote())
    return first, second


print("awaited in the driver:", asyncio.run(main()))
