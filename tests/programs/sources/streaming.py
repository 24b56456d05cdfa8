"""Generators: values that come one by one from tasks and actors, with errors and asyncio."""

import asyncio

import ray
from ray import ObjectRefGenerator

ray.init(num_cpus=4)


@ray.remote
def chunks(count, size):
    for index in range(count):
        yield [index] * size


@ray.remote
def fails_at(limit):
    for index in range(limit):
        yield index
    raise ValueError("no more")


@ray.remote
class Source:
    def __init__(self):
        self.position = 0

    def read(self, count):
        for _ in range(count):
            self.position += 1
            yield self.position


generator = chunks.remote(3, 2)
print("type:", isinstance(generator, ObjectRefGenerator))
for ref in generator:
    print("chunk:", ray.get(ref))

source = Source.remote()
print("first:", [ray.get(ref) for ref in source.read.remote(3)])
print("second:", [ray.get(ref) for ref in source.read.remote(2)])

values = []
try:
    for ref in fails_at.remote(2):
        values.append(ray.get(ref))
except ValueError as error:
    print("then an error:", values, type(error).__name__)

generator = chunks.remote(1, 1)
print("next:", ray.get(next(generator)))
try:
    next(generator)
except StopIteration:
    print("it has ended")
print("completed:", ray.get(generator.completed()) is None)


@ray.remote(num_returns=3)
def fixed():
    for letter in "abc":
        yield letter


print("fixed number:", ray.get(fixed.remote()))


@ray.remote(num_returns="dynamic")
def dynamic(count):
    for index in range(count):
        yield index


print("dynamic:", [ray.get(ref) for ref in ray.get(dynamic.remote(4))])


@ray.remote
class AsyncSource:
    async def aread(self, count):
        for index in range(count):
            await asyncio.sleep(0.01)
            yield index * 10


async_source = AsyncSource.remote()


async def main():
    return [await ref async for ref in async_source.aread.remote(3)]


print("async for:", asyncio.run(main()))
