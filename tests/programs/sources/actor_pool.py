"""A pool of actors: ordered and unordered maps, and submissions one by one."""

import ray
from ray.util import ActorPool

ray.init(num_cpus=4)


@ray.remote
class Squarer:
    def __init__(self):
        self.calls = 0

    def square(self, value):
        self.calls += 1
        return value * value

    def fail_on_odd(self, value):
        if value % 2:
            raise ValueError(f"odd: {value}")
        return value


actors = [Squarer.remote() for _ in range(3)]
pool = ActorPool(actors)
print("ordered:", list(pool.map(lambda actor, value: actor.square.remote(value), range(8))))
unordered = pool.map_unordered(lambda actor, value: actor.square.remote(value), range(8))
print("unordered, sorted:", sorted(unordered))

for value in (5, 6, 7, 8, 9):
    pool.submit(lambda actor, value: actor.square.remote(value), value)
print("has next:", pool.has_next(), "has free:", pool.has_free())
results = []
while pool.has_next():
    results.append(pool.get_next())
print("one by one:", results)
print("idle:", pool.pop_idle() is not None, pool.has_next())

pool = ActorPool(actors)
pool.submit(lambda actor, value: actor.fail_on_odd.remote(value), 2)
pool.submit(lambda actor, value: actor.fail_on_odd.remote(value), 3)
print("even:", pool.get_next())
try:
    pool.get_next()
except ValueError as error:
    print("error:", type(error).__name__, isinstance(error, ray.exceptions.RayTaskError))
try:
    pool.get_next()
except StopIteration as error:
    print("empty:", error)
extra = Squarer.remote()
pool.push(extra)
print("pushed:", sorted(pool.map_unordered(lambda actor, value: actor.square.remote(value), [1, 2])))
