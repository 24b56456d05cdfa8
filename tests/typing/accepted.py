"""What type checkers must accept, and what they must take it for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from typing_extensions import assert_type

import nbactors as ray
from nbactors.actor import ActorClass, ActorHandle, ActorProxy


class Counter:
    def __init__(self, start: int = 0) -> None:
        self.value = start

    @ray.method
    def increment(self) -> int:
        self.value += 1
        return self.value

    @ray.method
    def add(self, amount: int, times: int = 1) -> int:
        for _ in range(times):
            self.increment()  # in the class itself it is an ordinary method
        return assert_type(self.increment(), int)

    @ray.method(num_returns=1)
    def name(self) -> str:
        return "counter"


CounterActor: ActorClass[Counter] = ray.remote(Counter)
counter: ActorProxy[Counter] = CounterActor.remote(1)

reference: ray.ObjectRef[int] = counter.increment.remote()
assert_type(counter.increment.remote(), ray.ObjectRef[int])
assert_type(ray.get(counter.increment.remote()), int)
assert_type(ray.get([counter.increment.remote(), reference]), list[int])
assert_type(counter.add.remote(1, times=2), ray.ObjectRef[int])
assert_type(counter.add.remote(amount=1), ray.ObjectRef[int])
assert_type(counter.add.remote(reference), ray.ObjectRef[int])
assert_type(counter.add.remote(1, reference), ray.ObjectRef[int])
assert_type(counter.name.remote(), ray.ObjectRef[str])
counter.increment.options(name="call").remote()
CounterActor.options(num_cpus=1, name="counter").remote()
CounterActor.bind(1).increment.bind().execute()
counter.add.bind(CounterActor.bind(1), times=2)
ray.kill(counter)


@ray.remote
def length(text: str, *, extra: int = 0) -> int:
    return len(text) + extra


@ray.remote(num_cpus=2)
def double(number: int) -> int:
    return 2 * number


assert_type(length.remote("abc", extra=1), ray.ObjectRef[int])
assert_type(ray.get(double.remote(2)), int)
assert_type(double.remote(length.remote("abc")), ray.ObjectRef[int])
double.options(num_returns=2).remote(1)
double.bind(length.bind("abc")).execute()


class Greeter:
    @ray.method
    def greet(self, name: str) -> str:
        return f"Hello, {name}"


# mypy does not ask class decorators what they return, so the form with parentheses is for Greeter itself.
GreeterActor = ray.remote(num_cpus=1)(Greeter)
assert_type(ray.get(GreeterActor.remote().greet.remote("you")), str)


class Fetcher:
    @ray.method
    async def fetch(self, url: str, retries: int = 1) -> bytes:
        return url.encode() * retries

    @ray.method(concurrency_group="io")
    async def size(self, url: str) -> int:
        return len(await self.fetch(url))

    @ray.method
    def parts(self, url: str) -> Iterator[str]:
        yield from url.split("/")

    @ray.method(_generator_backpressure_num_objects=1)
    async def stream(self, url: str) -> AsyncIterator[int]:
        for part in self.parts(url):
            yield await self.size(part)


FetcherActor = ray.remote(concurrency_groups={"io": 2})(Fetcher)
fetcher = FetcherActor.options(max_concurrency=2).remote()
assert_type(fetcher.fetch.remote("a", retries=2), ray.ObjectRef[bytes])
assert_type(fetcher.size.remote("a"), ray.ObjectRef[int])
assert_type(fetcher.size.options(concurrency_group="io", timeout_s=1.5, name="n").remote("a"), ray.ObjectRef[int])
assert_type(fetcher.parts.remote("a"), ray.ObjectRefGenerator[str])
assert_type(fetcher.stream.remote(stored_url := ray.put("a")), ray.ObjectRefGenerator[int])
for part in fetcher.parts.options(timeout_s=5).remote(stored_url):
    assert_type(part, ray.ObjectRef[str])
fetcher.parts.options(num_returns="dynamic").remote("a")
fetcher.parts.options(num_returns=2, _generator_backpressure_num_objects=1).remote("a")
ray.cancel(fetcher.fetch.remote("a"))
ray.cancel(fetcher.stream.remote("a"), recursive=False, interrupt=True)


@ray.remote
def squares(limit: int) -> Iterator[int]:
    for number in range(limit):
        yield number * number


assert_type(squares.remote(3), ray.ObjectRefGenerator[int])
assert_type(squares.remote(ray.put(3)), ray.ObjectRefGenerator[int])
squares.options(num_returns=3, timeout_s=1).remote(3)

handle: ActorHandle[Counter] = ray.get_actor("counter")
handle.anything.remote(1)
ray.kill(handle)
text: str = ray.get(handle.anything.remote())

stored = ray.put({"a": 1})
assert_type(stored, ray.ObjectRef[dict[str, int]])
ready, rest = ray.wait([stored], num_returns=1, timeout=1.5)
assert_type(ready, list[ray.ObjectRef[dict[str, int]]])
assert_type(ray.util.list_named_actors(), list[str])
assert_type(ray.util.list_named_actors(all_namespaces=True), list[dict[str, str]])

with ray.init(num_cpus=2, namespace="n") as context:
    print(context.address_info["namespace"])
