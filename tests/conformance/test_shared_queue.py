"""`util.queue.Queue`: a queue that drivers, tasks and actors share."""

from __future__ import annotations

import asyncio
import importlib
import queue
import threading
from typing import Any

import pytest

from conformance.subjects import Keeper


@pytest.fixture
def queues(ray: Any, module_name: str) -> Any:
    """The module."""
    return importlib.import_module(f"{module_name}.util.queue")


class TestOneThread:
    def test_the_example_of_the_reference_page(self, queues: Any) -> None:
        q = queues.Queue()
        items = list(range(10))
        for item in items:
            q.put(item)
        for item in items:
            assert item == q.get()

    def test_sizes(self, queues: Any) -> None:
        q = queues.Queue(maxsize=2)
        assert (len(q), q.size(), q.qsize(), q.empty(), q.full(), q.maxsize) == (0, 0, 0, True, False, 2)
        q.put("a")
        assert (len(q), q.size(), q.qsize(), q.empty(), q.full()) == (1, 1, 1, False, False)
        q.put("b")
        assert (len(q), q.size(), q.qsize(), q.empty(), q.full()) == (2, 2, 2, False, True)

    def test_an_empty_queue(self, queues: Any) -> None:
        q = queues.Queue()
        for read in (q.get_nowait, lambda: q.get(block=False), lambda: q.get(timeout=0.01)):
            with pytest.raises(queues.Empty) as caught:
                read()
            assert isinstance(caught.value, queue.Empty)

    def test_a_full_queue(self, queues: Any) -> None:
        q = queues.Queue(1)
        q.put(1)
        for write in (q.put_nowait, lambda item: q.put(item, block=False), lambda item: q.put(item, timeout=0.01)):
            with pytest.raises(queues.Full) as caught:
                write(2)
            assert isinstance(caught.value, queue.Full)
        assert q.get() == 1
        assert q.empty()

    @pytest.mark.differs("on Ray with Python before 3.12, a timeout of 0 fails also where nothing is to wait for")
    def test_a_timeout_of_zero_does_not_wait(self, queues: Any) -> None:
        q = queues.Queue(1)
        q.put(1, timeout=0)
        assert q.get(timeout=0) == 1

    def test_the_wait_must_not_be_negative(self, queues: Any) -> None:
        q = queues.Queue()
        for call in (lambda: q.put(1, timeout=-1), lambda: q.get(timeout=-1)):
            with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
                call()

    @pytest.mark.parametrize("item", [None, [], (), {}, "text", [1, [2]]])
    def test_every_value_is_an_item(self, queues: Any, item: Any) -> None:
        q = queues.Queue()
        q.put(item)
        assert q.get() == item

    def test_a_reference_in_a_list_stays_one(self, ray: Any, queues: Any) -> None:
        q = queues.Queue()
        q.put([ray.put("value")])
        [ref] = q.get()
        assert ray.get(ref) == "value"


class TestBatches:
    def test_a_batch_keeps_its_order(self, queues: Any) -> None:
        q = queues.Queue()
        q.put_nowait_batch([1, 2, 3])
        assert q.get_nowait_batch(2) == [1, 2]
        assert q.get_nowait_batch(0) == []
        assert q.get_nowait_batch(1) == [3]

    def test_a_batch_that_does_not_fit_is_not_put(self, queues: Any) -> None:
        q = queues.Queue(3)
        q.put(0)
        with pytest.raises(queues.Full, match="Cannot add 3 items to queue of size 1 and maxsize 3"):
            q.put_nowait_batch([1, 2, 3])
        assert q.qsize() == 1
        q.put_nowait_batch([1, 2])
        assert q.get_nowait_batch(3) == [0, 1, 2]

    def test_a_batch_that_is_not_there_is_not_taken(self, queues: Any) -> None:
        q = queues.Queue()
        q.put(0)
        with pytest.raises(queues.Empty, match="Cannot get 2 items from queue of size 1"):
            q.get_nowait_batch(2)
        assert q.get() == 0

    def test_wrong_batches(self, queues: Any) -> None:
        q = queues.Queue()
        with pytest.raises(TypeError, match="Argument 'items' must be an Iterable"):
            q.put_nowait_batch(1)
        with pytest.raises(TypeError, match="Argument 'num_items' must be an int"):
            q.get_nowait_batch("1")
        with pytest.raises(ValueError, match="'num_items' must be nonnegative"):
            q.get_nowait_batch(-1)

    @pytest.mark.differs("on Ray a generator cannot be pickled")
    def test_a_batch_is_any_iterable(self, queues: Any) -> None:
        q = queues.Queue()
        q.put_nowait_batch(item for item in "abc")
        assert q.get_nowait_batch(3) == ["a", "b", "c"]


class TestManyProcesses:
    def test_a_task_fills_the_queue_of_the_driver(self, ray: Any, queues: Any) -> None:
        @ray.remote
        def produce(q: Any, count: int) -> None:
            for item in range(count):
                q.put(item)

        q = queues.Queue(maxsize=2)  # so the task has to wait for room
        done = produce.remote(q, 10)
        assert [q.get(timeout=30) for _ in range(10)] == list(range(10))
        assert ray.get(done) is None

    def test_a_task_gets_the_errors_of_the_queue(self, ray: Any, queues: Any) -> None:
        @ray.remote
        def read(q: Any) -> Any:
            q.get_nowait()

        with pytest.raises(queues.Empty):
            ray.get(read.remote(queues.Queue()))

    def test_every_item_is_taken_once(self, ray: Any, queues: Any) -> None:
        @ray.remote
        def consume(q: Any) -> list[Any]:
            found = []
            while (item := q.get()) is not None:
                found.append(item)
            return found

        q = queues.Queue()
        consumers = [consume.remote(q) for _ in range(2)]
        for item in [*range(20), None, None]:
            q.put(item)
        assert sorted(item for found in ray.get(consumers) for item in found) == list(range(20))

    def test_an_actor_keeps_a_queue(self, ray: Any, queues: Any) -> None:
        q = queues.Queue()
        keeper = ray.remote(Keeper).remote(q)
        q.put("a")
        assert ray.get(keeper.give.remote()).get() == "a"

    def test_a_thread_waits_for_an_item(self, queues: Any) -> None:
        q = queues.Queue()
        found: list[Any] = []
        reader = threading.Thread(target=lambda: found.append(q.get(timeout=30)))
        reader.start()
        q.put("late")
        reader.join(30)
        assert found == ["late"]


class TestAsync:
    def test_put_and_get(self, queues: Any) -> None:
        q = queues.Queue(1)

        async def main() -> list[Any]:
            async def produce() -> None:
                for item in range(5):
                    await q.put_async(item)

            producer = asyncio.ensure_future(produce())
            found = [await q.get_async(timeout=30) for _ in range(5)]
            await producer
            return found

        assert asyncio.run(main()) == [0, 1, 2, 3, 4]

    def test_errors(self, queues: Any) -> None:
        q = queues.Queue(1)

        async def main() -> None:
            for options in ({"block": False}, {"timeout": 0.01}):
                with pytest.raises(queues.Empty):
                    await q.get_async(**options)
            await q.put_async(1, block=False)
            for options in ({"block": False}, {"timeout": 0.01}):
                with pytest.raises(queues.Full):
                    await q.put_async(2, **options)
            with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
                await q.put_async(2, timeout=-1)

        asyncio.run(main())
        assert q.get() == 1


class TestActor:
    def test_the_options_are_those_of_the_actor(self, ray: Any, queues: Any, name: str) -> None:
        q = queues.Queue(actor_options={"name": name, "num_cpus": 1})
        q.put(1)
        assert ray.get_actor(name) == q.actor

    @pytest.mark.parametrize("force", [False, True])
    def test_shutdown_ends_the_actor(self, ray: Any, queues: Any, force: bool, eventually: Any) -> None:
        q = queues.Queue()
        q.put(1)
        actor = q.actor
        q.shutdown(force=force, grace_period_s=10)
        assert q.actor is None

        def has_died() -> bool:
            try:
                ray.get(actor.qsize.remote())
            except ray.exceptions.RayActorError:
                return True
            return False

        eventually(has_died)
        q.shutdown()

    @pytest.mark.differs("on Ray this is an AttributeError of None")
    def test_an_ended_queue_says_so(self, queues: Any) -> None:
        q = queues.Queue()
        q.shutdown(force=True)
        for call in (q.qsize, q.get, q.empty, lambda: q.put(1), lambda: q.get_nowait_batch(1)):
            with pytest.raises(ValueError, match="This queue has ended: shutdown\\(\\) was called"):
                call()
