"""References as awaitables: in the driver's loops, in other threads' loops, and inside actors."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from conformance.latch import Latch
from conformance.subjects import Echo, Gate, echo


class Place:
    """Runs a coroutine function on some loop of this session."""

    def __init__(self, where: str) -> None:
        self._where = where

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if self._where == "main thread":
            return asyncio.run(coroutine)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, coroutine).result()


@pytest.fixture(params=["main thread", "another thread"])
def place(request: pytest.FixtureRequest) -> Place:
    return Place(request.param)


class TestReference:
    """The example of the reference page."""

    def test_a_reference_can_be_awaited(self, ray: Any) -> None:
        @ray.remote
        def some_task() -> int:
            return 1

        async def await_obj_ref() -> Any:
            return await some_task.remote()

        assert asyncio.run(await_obj_ref()) == 1

    @pytest.mark.differs("Ray's references have no callbacks, so that asyncio.wait fails on Python 3.11")
    def test_asyncio_wait_takes_references(self, ray: Any) -> None:
        @ray.remote
        def some_task() -> int:
            return 1

        async def await_obj_ref() -> Any:
            done, pending = await asyncio.wait([some_task.remote()])
            return [future.result() for future in done], pending

        assert asyncio.run(await_obj_ref()) == ([1], set())


class TestForms:
    def test_await_returns_the_value(self, ray: Any, place: Place) -> None:
        async def main() -> Any:
            return await ray.remote(echo).remote(1)

        assert place.run(main()) == 1

    def test_a_put_reference_can_be_awaited(self, ray: Any, place: Place) -> None:
        async def main() -> Any:
            return await ray.put([1, 2])

        assert place.run(main()) == [1, 2]

    def test_a_ready_reference_can_be_awaited_twice(self, ray: Any, place: Place) -> None:
        ready = ray.remote(echo).remote("there")
        ray.get(ready)

        async def main() -> Any:
            return await ready, await ready

        assert place.run(main()) == ("there", "there")

    def test_an_actors_call_can_be_awaited(self, ray: Any, place: Place) -> None:
        actor = ray.remote(Echo).remote()

        async def main() -> Any:
            return [await actor.echo.remote(i) for i in range(3)]

        assert place.run(main()) == [0, 1, 2]

    def test_gather_takes_references(self, ray: Any, place: Place) -> None:
        async def main() -> Any:
            reference = ray.remote(echo).remote("twice")
            return await asyncio.gather(ray.put(1), reference, reference)

        assert place.run(main()) == [1, "twice", "twice"]

    def test_gather_returns_exceptions_of_references(self, ray: Any, place: Place) -> None:
        async def main() -> Any:
            fails = ray.remote(Echo).remote().fail.remote("broken")
            return await asyncio.gather(fails, ray.put(1), return_exceptions=True)

        error, value = place.run(main())
        assert isinstance(error, ValueError)
        assert value == 1

    def test_wait_for_takes_a_reference(self, ray: Any, place: Place) -> None:
        async def main() -> Any:
            return await asyncio.wait_for(ray.remote(echo).remote(1), 10)

        assert place.run(main()) == 1

    def test_as_completed_takes_references(self, ray: Any, place: Place) -> None:
        latch = ray.remote(Latch).remote()

        async def main() -> Any:
            held, quick = latch.hold.remote("held"), latch.echo.remote("quick")
            values = []
            for each in asyncio.as_completed([held, quick]):
                values.append(await each)
                latch.open.remote()
            return values

        assert place.run(main()) == ["quick", "held"]

    def test_shield_and_ensure_future_take_references(self, ray: Any, place: Place) -> None:
        async def main() -> Any:
            future = asyncio.ensure_future(ray.put(2))
            return await asyncio.shield(ray.put(1)), await future

        assert place.run(main()) == (1, 2)

    @pytest.mark.differs("Ray's references have no callbacks, so that asyncio.wait fails on Python 3.11")
    @pytest.mark.parametrize("how", [asyncio.FIRST_COMPLETED, asyncio.ALL_COMPLETED])
    def test_asyncio_wait_returns_done_and_pending_references(self, ray: Any, place: Place, how: str) -> None:
        latch = ray.remote(Latch).remote()

        async def main() -> Any:
            held, quick = latch.hold.remote("held"), latch.echo.remote("quick")
            if how == asyncio.ALL_COMPLETED:
                latch.open.remote()
            done, pending = await asyncio.wait([held, quick], return_when=how)
            return sorted([future.result() for future in done]), len(pending)

        assert place.run(main()) == ((["quick"], 1) if how == asyncio.FIRST_COMPLETED else (["held", "quick"], 0))

    @pytest.mark.differs("Ray's references have no callbacks, so that asyncio.wait fails on Python 3.11")
    def test_asyncio_wait_ends_after_its_timeout(self, ray: Any, place: Place) -> None:
        latch = ray.remote(Latch).remote()

        async def main() -> Any:
            done, pending = await asyncio.wait([latch.hold.remote()], timeout=0.05)
            return len(done), len(pending)

        assert place.run(main()) == (0, 1)

    def test_asyncio_wait_takes_wrapped_futures(self, ray: Any, place: Place) -> None:
        async def main() -> Any:
            done, pending = await asyncio.wait([asyncio.wrap_future(ray.put(i).future()) for i in range(3)])
            return sorted(future.result() for future in done), pending

        assert place.run(main()) == ([0, 1, 2], set())

    def test_many_references_can_be_gathered(self, ray: Any, place: Place) -> None:
        actor = ray.remote(Latch).remote()

        async def main() -> Any:
            return await asyncio.gather(*[actor.echo.remote(i) for i in range(500)])

        assert place.run(main()) == list(range(500))

    def test_as_future_returns_an_asyncio_future(self, ray: Any, place: Place) -> None:
        async def main() -> Any:
            future = ray.remote(echo).remote(1).as_future()
            assert asyncio.isfuture(future)
            return await future

        assert place.run(main()) == 1

    def test_a_reference_is_awaitable_and_no_coroutine(self, ray: Any) -> None:
        assert inspect.isawaitable(ray.put(1))
        assert not inspect.iscoroutine(ray.put(1))

    def test_a_reference_can_be_awaited_on_several_loops_in_turn(self, ray: Any) -> None:
        reference = ray.remote(echo).remote(1)

        async def main() -> Any:
            return await reference

        assert [asyncio.run(main()) for _ in range(3)] == [1, 1, 1]

    def test_a_reference_can_be_awaited_on_several_loops_at_once(self, ray: Any, gate: Gate) -> None:
        reference = ray.remote(Echo).remote().wait.remote(gate)
        awaiting = threading.Barrier(5)

        async def main() -> Any:
            future = asyncio.ensure_future(reference)
            await asyncio.sleep(0)
            await asyncio.get_running_loop().run_in_executor(None, awaiting.wait)
            return await future

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(asyncio.run, main()) for _ in range(4)]
            awaiting.wait()
            gate.open()
            assert [future.result() for future in futures] == ["passed"] * 4

    def test_the_loop_runs_while_a_reference_is_awaited(self, ray: Any, gate: Gate) -> None:
        async def main() -> Any:
            waiting = asyncio.ensure_future(ray.remote(Echo).remote().wait.remote(gate))
            await asyncio.sleep(0)
            gate.open()
            return await waiting

        assert asyncio.run(main()) == "passed"

    def test_get_works_inside_a_running_loop(self, ray: Any) -> None:
        async def main() -> Any:
            return ray.get(ray.remote(echo).remote(1))

        assert asyncio.run(main()) == 1

    def test_a_call_inside_a_loop_takes_an_unready_argument(self, ray: Any, gate: Gate) -> None:
        async def main() -> Any:
            passed = ray.remote(Echo).remote().wait.remote(gate)
            echoed = ray.remote(echo).remote(passed)
            gate.open()
            return await echoed

        assert asyncio.run(main()) == "passed"


class TestErrors:
    def test_await_raises_what_get_raises(self, ray: Any, place: Place) -> None:
        async def main() -> Any:
            await ray.remote(Echo).remote().fail.remote("broken")

        with pytest.raises(ValueError, match="broken") as raised:
            place.run(main())
        assert isinstance(raised.value, ray.exceptions.RayTaskError)

    def test_await_raises_the_error_of_a_dead_actor(self, ray: Any, place: Place) -> None:
        latch = ray.remote(Latch).remote()

        async def main() -> Any:
            held = latch.hold.remote()
            await latch.held.remote(1)
            ray.kill(latch)
            await held

        with pytest.raises(ray.exceptions.ActorDiedError, match="kill"):
            place.run(main())

    def test_await_raises_the_error_of_a_cancelled_call(self, ray: Any, place: Place) -> None:
        latch = ray.remote(Latch).remote()

        async def main() -> Any:
            held = latch.hold.remote()
            await latch.held.remote(1)
            ray.cancel(held)
            await held

        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            place.run(main())


async def _cancel_task(held: Any) -> Any:
    async def wait() -> Any:
        return await held

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    return await task


async def _cancel_gather(held: Any) -> Any:
    both = asyncio.gather(held, held)
    await asyncio.sleep(0)
    both.cancel()
    return await both


async def _cancel_wrapped(held: Any) -> Any:
    future = asyncio.wrap_future(held.future())
    await asyncio.sleep(0)
    future.cancel()
    return await future


async def _time_out(held: Any) -> Any:
    return await asyncio.wait_for(held, 0.02)


class TestCancellingWhatAwaits:
    """It ends the waiting. The call goes on."""

    @pytest.mark.parametrize("cancel", [_cancel_task, _cancel_gather, _cancel_wrapped, _time_out])
    def test_the_call_goes_on_when_a_wait_in_the_driver_is_cancelled(self, ray: Any, cancel: Any) -> None:
        latch = ray.remote(Latch).remote()

        async def main() -> Any:
            held = latch.hold.remote()
            await latch.held.remote(1)
            with pytest.raises((asyncio.CancelledError, asyncio.TimeoutError), match=r"^$"):
                await cancel(held)
            return await latch.open.remote(), await held

        assert asyncio.run(main()) == (0, "passed")

    @pytest.mark.parametrize("cancel", [_cancel_task, _cancel_gather, _cancel_wrapped, _time_out])
    def test_the_call_goes_on_when_a_wait_in_an_actor_is_cancelled(self, ray: Any, cancel: Any) -> None:
        @ray.remote
        class Awaiting:
            async def call(self, latch: Any) -> Any:
                held = latch.hold.remote()
                await latch.held.remote(1)
                try:
                    await cancel(held)
                except (asyncio.CancelledError, asyncio.TimeoutError):
                    return await latch.open.remote(), await held

        assert ray.get(Awaiting.remote().call.remote(ray.remote(Latch).remote())) == (0, "passed")


def _error_of(future: concurrent.futures.Future[Any]) -> BaseException | None:
    try:
        future.result(0)
    except BaseException as error:
        return error
    return None


class TestFuture:
    def test_the_future_has_the_result(self, ray: Any) -> None:
        future = ray.remote(echo).remote(1).future()
        assert isinstance(future, concurrent.futures.Future)
        assert future.result(10) == 1
        assert future.done()

    def test_the_future_has_the_error(self, ray: Any) -> None:
        future = ray.remote(Echo).remote().fail.remote("broken").future()
        assert isinstance(future.exception(10), ValueError)
        with pytest.raises(ray.exceptions.RayTaskError, match="broken"):
            future.result(10)

    def test_a_wait_for_the_future_can_time_out(self, ray: Any, gate: Gate) -> None:
        future = ray.remote(Echo).remote().wait.remote(gate).future()
        assert concurrent.futures.wait([future], 0.01).not_done == {future}
        assert isinstance(_error_of(future), concurrent.futures.TimeoutError)
        assert not future.done()
        gate.open()
        assert future.result(10) == "passed"

    def test_the_future_calls_its_callback(self, ray: Any, gate: Gate) -> None:
        called = threading.Event()
        future = ray.remote(Echo).remote().wait.remote(gate).future()
        future.add_done_callback(lambda _: called.set())
        assert not called.is_set()
        gate.open()
        assert called.wait(10)

    def test_cancel_ends_the_future_and_not_the_call(self, ray: Any, gate: Gate) -> None:
        passed = ray.remote(Echo).remote().wait.remote(gate)
        future = passed.future()
        assert future.cancel()
        assert future.cancelled()
        gate.open()
        assert ray.get(passed) == "passed"

    def test_concurrent_futures_wait_and_as_completed_take_futures(self, ray: Any) -> None:
        futures = [ray.put(i).future() for i in range(3)]
        done, not_done = concurrent.futures.wait(futures, 10)
        assert (len(done), not_done) == (3, set())
        assert sorted(future.result() for future in concurrent.futures.as_completed(futures, 10)) == [0, 1, 2]

    def test_the_future_keeps_the_object(self, ray: Any) -> None:
        assert ray.put([1]).future().result(10) == [1]

    @pytest.mark.differs("in Ray the thread of the futures is one apart")
    def test_a_future_that_the_user_settles_does_not_change_get(self, ray: Any, gate: Gate) -> None:
        passed = ray.remote(Echo).remote().wait.remote(gate)
        before, beside = passed.future(), passed.future()
        before.set_result(0)
        gate.open()
        assert ray.get(passed, timeout=10) == "passed"
        assert beside.result(10) == "passed"
        assert before.result(0) == 0

    @pytest.mark.differs("in Ray it ends the thread of the futures")
    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, ValueError])
    def test_an_error_in_a_callback_is_reported_and_changes_no_other(
        self, ray: Any, gate: Gate, capfd: pytest.CaptureFixture[str], caplog: Any, error: type[BaseException]
    ) -> None:
        def fail(_: Any) -> None:
            raise error("of a callback")

        actor = ray.remote(Echo).remote()
        passed = actor.wait.remote(gate)
        first, second = passed.future(), passed.future()
        first.add_done_callback(fail)
        gate.open()
        # No `get`: the background thread runs the callback.
        assert second.result(10) == first.result(10) == "passed"
        called = threading.Event()
        actor.echo.remote(1).future().add_done_callback(lambda _: called.set())
        assert called.wait(10)
        assert ray.get(actor.echo.remote(1), timeout=10) == 1
        assert "of a callback" in capfd.readouterr().err + caplog.text

    def test_a_future_works_inside_a_synchronous_actor(self, ray: Any) -> None:
        @ray.remote
        class Caller:
            def call(self, other: Any) -> Any:
                return other.echo.remote(1).future().result(10)

        assert ray.get(Caller.remote().call.remote(ray.remote(Echo).remote())) == 1

    def test_an_event_loop_works_inside_a_synchronous_actor(self, ray: Any) -> None:
        @ray.remote
        class Caller:
            def call(self, other: Any) -> Any:
                async def main() -> Any:
                    return await asyncio.gather(other.echo.remote(1), other.echo.remote(2))

                return asyncio.run(main())

        assert ray.get(Caller.remote().call.remote(ray.remote(Echo).remote())) == [1, 2]
