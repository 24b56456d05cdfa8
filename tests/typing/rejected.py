"""Lines that type checkers must reject: each has the error code that mypy gives it."""

from __future__ import annotations

from collections.abc import Iterator

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


class Fetcher:
    @ray.method
    async def fetch(self, url: str) -> bytes:
        return url.encode()

    @ray.method
    def parts(self, url: str) -> Iterator[str]:
        yield from url.split("/")


fetcher = ray.remote(max_concurrency=2)(Fetcher).remote()
fetcher.fetch.remote(3)  # E: call-overload
body: ray.ObjectRef[str] = fetcher.fetch.remote("a")  # E: assignment
one: ray.ObjectRef[str] = fetcher.parts.remote("a")  # E: assignment
fetcher.parts.remote()  # E: call-overload


@ray.remote
def squares(limit: int) -> Iterator[int]:
    yield from range(limit)


squares.remote("a")  # E: call-overload


@ray.remote
def length(text: str) -> int:
    return len(text)


length.remote(3)  # E: call-overload
wrong: str = ray.get(length.remote("a"))  # E: assignment
ray.get(3)  # E: call-overload
ray.wait(3)  # E: call-overload
ray.kill("counter")  # E: arg-type
ray.get_actor(3)  # E: arg-type
ray.cancel(counter)  # E: arg-type
ray.cancel([counter.add.remote(1)])  # E: arg-type
ray.cancel(counter.add.remote(1), force="yes")  # E: arg-type
counter.add.options(timeout_s="5")  # E: call-overload
counter.add.options(group="io")  # E: call-overload
ray.init(num_cpus="two")  # E: arg-type
