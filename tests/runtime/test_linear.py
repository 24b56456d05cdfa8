"""What is done to n of something takes steps in proportion to n.

Calls of functions are counted, those of C functions too, on the thread that does it. By `cProfile`: a function of
`sys.setprofile` would let other threads in where the runtime relies on a step of C being one.
"""

from __future__ import annotations

import asyncio
import cProfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import nbactors as ray
from nbactors import engine
from nbactors.local.objects.arrivals import Arrivals
from nbactors.testing import eventually
from nbactors.util import ActorPool, as_completed, map_unordered
from nbactors.util.calls import cancel_all

pytestmark = pytest.mark.slow

FEW, MANY = 100, 400

MOST = 7.0
"""How many times more calls four times as many may take: 4, a part that does not grow, and whatever another thread did
of it; 16 if it grew with the square."""


@pytest.fixture(scope="module", autouse=True)
def _session() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


@ray.remote(num_cpus=0)
class Worker:
    def one(self, *_: Any) -> int:
        return 1

    def puts(self, count: int) -> list[Any]:
        return [ray.put(number) for number in range(count)]

    def takes(self, refs: list[Any]) -> int:
        return len(refs)


@ray.remote(num_cpus=0)
class Async:
    async def one(self, *_: Any) -> int:
        return 1

    async def never(self, *_: Any) -> None:
        await asyncio.Event().wait()


@ray.remote(num_cpus=0)
def task(*_: Any) -> int:
    return 1


Step = Callable[[], Any]


def one_by_one(refs: list[Any]) -> None:
    while refs:
        _, refs = ray.wait(refs)


def ended(refs: list[Any]) -> None:
    ray.wait(refs, num_returns=len(refs), timeout=60)


def get_own(count: int) -> Step:
    worker = Worker.remote()
    refs = [worker.one.remote() for _ in range(count)]
    ended(refs)  # else the other thread has read all answers of a few calls, and few of many
    return lambda: ray.get(refs)


def get_of_others(count: int) -> Step:
    worker = Worker.remote()
    refs = ray.get(worker.puts.remote(count))
    return lambda: (ray.get(refs), worker)


def get_one_many_times(count: int) -> Step:
    refs = [Worker.remote().one.remote()] * count
    return lambda: ray.get(refs)


def wait_one_by_one(count: int) -> Step:
    worker = Worker.remote()
    refs = [worker.one.remote() for _ in range(count)]
    return lambda: one_by_one(refs)


def wait_one_by_one_from_the_end(count: int) -> Step:
    worker = Worker.remote()
    refs = [worker.one.remote() for _ in range(count)]
    return lambda: one_by_one(refs[::-1])


def wait_one_by_one_for_others(count: int) -> Step:
    worker = Worker.remote()
    refs = ray.get(worker.puts.remote(count))
    return lambda: (one_by_one(refs), worker)


def take_as_completed(count: int) -> Step:
    worker = Worker.remote()
    refs = [worker.one.remote() for _ in range(count)]

    async def each() -> None:
        for future in asyncio.as_completed([ref.as_future() for ref in refs]):
            await future

    return lambda: asyncio.run(each())


def wait_on_a_loop(count: int) -> Step:
    worker = Worker.remote()
    refs = [worker.one.remote() for _ in range(count)]

    async def all_of_them() -> None:
        await asyncio.wait([asyncio.ensure_future(ref) for ref in refs])

    return lambda: asyncio.run(all_of_them())


def complete_in_chunks(count: int) -> Step:
    worker = Worker.remote()
    refs = [worker.one.remote() for _ in range(count)]
    return lambda: list(as_completed(refs))


def complete_one_by_one_from_the_end(count: int) -> Step:
    worker = Worker.remote()
    refs = [worker.one.remote() for _ in range(count)]
    return lambda: list(as_completed(refs[::-1], chunk_size=1))


def complete_those_of_others(count: int) -> Step:
    worker = Worker.remote()
    refs = ray.get(worker.puts.remote(count))
    return lambda: (list(as_completed(refs, chunk_size=1)), worker)


def map_without_a_limit(count: int) -> Step:
    worker = Worker.remote()
    return lambda: list(map_unordered(worker.one, range(count), backpressure_size=None))


def map_on_a_pool(count: int) -> Step:
    pool = ActorPool([Worker.remote() for _ in range(2)])
    return lambda: list(pool.map_unordered(lambda worker, number: worker.one.remote(number), range(count)))


def gather(count: int) -> Step:
    worker = Worker.remote()
    refs = [worker.one.remote() for _ in range(count)]

    async def all_of_them() -> None:
        await asyncio.gather(*refs)

    return lambda: asyncio.run(all_of_them())


def futures(count: int) -> Step:
    worker = Worker.remote()
    refs = [worker.one.remote() for _ in range(count)]
    ended(refs)
    return lambda: [ref.future().result() for ref in refs]


def pass_references_in_a_value(count: int) -> Step:
    worker = Worker.remote()
    refs = [ray.put(number) for number in range(count)]
    return lambda: ray.get(worker.takes.remote(refs))


def pass_references_as_arguments(count: int) -> Step:
    """Of which each comes at another time."""
    worker, other = Worker.remote(), Worker.remote()
    return lambda: ray.get(worker.one.remote(*[other.one.remote() for _ in range(count)]))


def pass_references_to_a_task(count: int) -> Step:
    other = Worker.remote()
    return lambda: ray.get(task.remote(*[other.one.remote() for _ in range(count)]))


def release(count: int) -> Step:
    worker = Worker.remote()
    refs = ray.get(worker.puts.remote(count))

    def drop() -> None:
        refs.clear()
        ray.get(worker.one.remote())

    return drop


def call_before_it_is_up(count: int) -> Step:
    def run() -> None:
        worker = Worker.remote()
        ray.get([worker.one.remote() for _ in range(count)])

    return run


def wait_for_one_argument(method: Callable[..., Any], last: bool) -> Callable[[int], Step]:
    """Calls that wait for one call, which is cancelled."""

    def prepare(count: int) -> Step:
        gate = Async.remote().never.remote()

        def run() -> None:
            refs = [method(gate) for _ in range(count)]
            for ref in [gate] if last else [*refs, gate]:
                ray.cancel(ref)
            ended(refs)

        return run

    return prepare


def of_one_actor(cls: Any) -> Callable[..., Any]:
    actors: list[Any] = []

    def call(gate: Any) -> Any:
        if not actors:
            actors.append(cls.remote())
        return actors[0].one.remote(gate)

    return call


def cancel_everything(count: int) -> Step:
    gate = Async.remote().never.remote()
    refs = [task.remote(gate) for _ in range(count)]
    return lambda: (cancel_all(), ended(refs))


def get_while_others_fail(count: int) -> Step:
    """A `get` of many, of which none comes, while as many others fail."""
    actor = Async.options(max_concurrency=10_000).remote()
    waited = [actor.never.remote() for _ in range(count)]
    failing = [actor.never.remote() for _ in range(count)]
    ray.get(actor.one.remote())
    counted = threading.get_ident()
    reactor = engine.current().process.reactor  # type: ignore[attr-defined]

    def is_led_by_the_counted_thread() -> bool:
        leader = reactor.leader
        return leader is not None and leader.ident == counted

    def fail() -> None:
        # The thread that waits first does the work until its own result is there.
        eventually(is_led_by_the_counted_thread)
        for ref in failing:
            ray.cancel(ref)
        ended(failing)
        ray.cancel(waited[-1])

    def run() -> None:
        thread = threading.Thread(target=fail)
        thread.start()
        with pytest.raises(ray.exceptions.TaskCancelledError, match="cancel"):
            ray.get(waited)
        thread.join()

    return run


def limit_times(count: int) -> Step:
    worker = Worker.remote()
    return lambda: ray.get([worker.one.options(timeout_s=3600).remote() for _ in range(count)])


CASES: dict[str, Callable[[int], Step]] = {
    case.__name__: case
    for case in (
        get_own,
        get_of_others,
        get_one_many_times,
        wait_one_by_one,
        wait_one_by_one_from_the_end,
        wait_one_by_one_for_others,
        take_as_completed,
        wait_on_a_loop,
        gather,
        complete_in_chunks,
        complete_one_by_one_from_the_end,
        complete_those_of_others,
        map_without_a_limit,
        map_on_a_pool,
        futures,
        pass_references_in_a_value,
        pass_references_as_arguments,
        pass_references_to_a_task,
        release,
        call_before_it_is_up,
        cancel_everything,
        get_while_others_fail,
        limit_times,
    )
}
for kind, method in (("tasks", task.remote), ("calls", of_one_actor(Worker)), ("async calls", of_one_actor(Async))):
    CASES[f"{kind} that wait for one argument"] = wait_for_one_argument(method, last=True)
    CASES[f"{kind} that wait and are cancelled"] = wait_for_one_argument(method, last=False)


def calls(step: Step) -> int:
    profile = cProfile.Profile()
    profile.enable()
    try:
        step()
    finally:
        profile.disable()
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_number_of_steps_grows_in_proportion(case: Callable[[int], Step]) -> None:
    # Another thread may do a part of the work, which is not counted then. It takes the largest part of a short work.
    few = max(calls(case(FEW)) for _ in range(3))
    many = calls(case(MANY))
    assert many < MOST * max(few, 1000), f"{few} calls for {FEW}, {many} for {MANY}"


def test_as_completed_looks_at_no_list_of_all_references() -> None:
    # A slice is one call, however long it is. tests/unit/objects/test_arrivals.py counts the looks at references.
    unready = engine.current().unready_set()
    assert isinstance(unready, Arrivals)
    unready.close()
