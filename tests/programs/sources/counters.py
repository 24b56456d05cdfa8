"""Counters: actors with state, a name, and a handle that tasks share."""

import ray

ray.init(num_cpus=4)


@ray.remote
class Counter:
    def __init__(self, start=0):
        self.value = start

    def increment(self, by=1):
        self.value += by
        return self.value

    def read(self):
        return self.value


@ray.remote(num_cpus=0)
def add_ten(counter):
    for _ in range(10):
        last = counter.increment.remote()
    return ray.get(last) >= 10


counters = [Counter.remote(start) for start in (0, 10, 100)]
for _ in range(3):
    ray.get([counter.increment.remote() for counter in counters])
print("after three rounds:", ray.get([counter.read.remote() for counter in counters]))

shared = Counter.options(name="shared").remote()
print("tasks:", ray.get([add_ten.remote(shared) for _ in range(5)]))
found = ray.get_actor("shared")
print("by name:", ray.get(found.read.remote()), found == shared)
print("keyword:", ray.get(found.increment.remote(by=50)))

try:
    Counter.options(name="shared").remote()
except ValueError as error:
    print("taken:", "already taken" in str(error))

ray.kill(shared)
while True:
    try:
        ray.get(shared.read.remote())
    except ray.exceptions.RayActorError as error:
        print("killed:", type(error).__name__)
        break
try:
    counters[0].increment()
except TypeError as error:
    print("direct call:", str(error).split(".")[0])
try:
    ray.get(counters[0].increment.remote(1, 2, 3))
except TypeError as error:
    print("too many arguments:", type(error).__name__)
