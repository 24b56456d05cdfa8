"""Lines that type checkers must reject: each has the error code that mypy gives it."""

from __future__ import annotations

import nbactors as ray
from nbactors.actor import ActorClass, ActorProxy


class Counter:
    @ray.method
    def add(self, amount: int) -> int:
        return amount


CounterActor: ActorClass[Counter] = ray.remote(Counter)
counter: ActorProxy[Counter] = CounterActor.remote()

counter.add.remote("one")  # E: call-overload
counter.add.remote()  # E: call-overload
counter.subtract.remote(1)  # E: union-attr
counter.add(1)  # E: operator
text: ray.ObjectRef[str] = counter.add.remote(1)  # E: assignment


@ray.remote
def length(text: str) -> int:
    return len(text)


length.remote(3)  # E: call-overload
wrong: str = ray.get(length.remote("a"))  # E: assignment
ray.get(3)  # E: call-overload
ray.wait(3)  # E: arg-type
ray.kill("counter")  # E: arg-type
ray.get_actor(3)  # E: arg-type
ray.init(num_cpus="two")  # E: arg-type
