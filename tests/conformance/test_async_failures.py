"""Errors, endings and blocking calls in asyncio actors."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import Any

import pytest

from conformance.drivers import Drivers
from conformance.latch import Latch
from conformance.subjects import Journal, echo, is_running


class Failing(Latch):
    def fail_at_once(self) -> None:
        raise KeyError("at once")

    async def stop(self) -> None:
        raise StopIteration(3)

    async def cancel_itself(self) -> None:
        raise asyncio.CancelledError

    def cancel_new_tasks(self) -> None:
        """Cancel each task before it starts, until `stop_cancelling`."""
        loop = asyncio.get_running_loop()
        self.cancels = True

        def cancel() -> None:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            if self.cancels:
                loop.call_soon(cancel)

        loop.call_soon(cancel)

    async def stop_cancelling(self) -> None:
        self.cancels = False

    async def base_exception(self) -> None:
        raise BaseException("the base of all")

    async def later(self, message: str) -> None:
        await self.hold()
        raise ValueError(message)

    async def relay(self, other: Any) -> Any:
        return await other.fail.remote("from afar")

    async def caught(self, other: Any) -> str:
        try:
            await other.fail.remote("from afar")
        except ValueError as error:
            return f"caught {type(error).__name__}"
        return "nothing to catch"

    async def coroutine(self) -> None:
        pass

    def unawaited(self) -> Any:
        coroutine = self.coroutine()
        coroutine.close()
        return coroutine


class Collector:
    """Counts what would wait for the garbage collector."""

    def __init__(self) -> None:
        gc.disable()

    async def fail(self) -> None:
        raise ValueError("broken")

    def fail_plainly(self) -> None:
        raise ValueError("broken")

    def errors(self) -> int:
        return sum(type(thing) is ValueError for thing in gc.get_objects())


class TestErrors:
    def test_an_error_reaches_the_caller_and_the_actor_lives(self, ray: Any) -> None:
        failing = ray.remote(Failing).remote()
        with pytest.raises(ray.exceptions.RayTaskError, match="broken") as raised:
            ray.get(failing.fail.remote("broken"))
        assert isinstance(raised.value, ValueError)
        with pytest.raises(KeyError, match="at once"):
            ray.get(failing.fail_at_once.remote())
        assert ray.get(failing.echo.remote("alive")) == "alive"

    def test_an_error_names_the_method_and_its_line(self, ray: Any) -> None:
        with pytest.raises(ValueError, match=r"Failing\.fail\(\)[\s\S]*raise ValueError\(message\)"):
            ray.get(ray.remote(Failing).remote().fail.remote("broken"))

    @pytest.mark.differs_on_cluster("Ray's own cycles of references keep it until Python's next garbage collection")
    def test_an_error_is_freed_at_once(self, ray: Any) -> None:
        actor = ray.remote(Collector).remote()
        for method in (actor.fail, actor.fail_plainly):
            for _ in range(10):
                with pytest.raises(ValueError, match="broken"):
                    ray.get(method.remote())
        assert ray.get(actor.errors.remote()) == 0

    def test_an_error_after_a_suspension_reaches_the_caller(self, ray: Any) -> None:
        failing = ray.remote(Failing).remote()
        later = failing.later.remote("too late")
        ray.get(failing.open.remote())
        with pytest.raises(ValueError, match="too late"):
            ray.get(later)

    def test_a_failing_call_does_not_change_another(self, ray: Any) -> None:
        failing = ray.remote(Failing).remote()
        held = failing.hold.remote()
        with pytest.raises(ValueError, match="broken"):
            ray.get(failing.fail.remote("broken"))
        ray.get(failing.open.remote())
        assert ray.get(held) == "passed"

    def test_an_error_of_another_actor_passes_through(self, ray: Any) -> None:
        failing, other = ray.remote(Failing).remote(), ray.remote(Failing).remote()
        with pytest.raises(ValueError, match="from afar"):
            ray.get(failing.relay.remote(other))
        assert ray.get(failing.caught.remote(other)) == "caught RayTaskError(ValueError)"

    def test_stop_iteration_becomes_a_runtime_error(self, ray: Any) -> None:
        with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
            ray.get(ray.remote(Failing).remote().stop.remote())

    def test_a_call_that_raises_cancelled_error_counts_as_cancelled(self, ray: Any) -> None:
        failing = ray.remote(Failing).remote()
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            ray.get(failing.cancel_itself.remote())
        assert ray.get(failing.echo.remote("alive")) == "alive"

    @pytest.mark.differs("on Ray the other calls may never end then")
    def test_a_call_whose_task_is_cancelled_before_its_start_counts_as_cancelled(self, ray: Any) -> None:
        failing = ray.remote(concurrency_groups={"aside": 1})(Failing).remote()
        ray.get(failing.cancel_new_tasks.remote())
        held = failing.hold.remote()
        with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
            ray.get(held, timeout=10)
        ray.get(failing.stop_cancelling.options(concurrency_group="aside").remote())
        assert ray.get(failing.echo.remote("alive")) == "alive"

    def test_a_base_exception_fails_the_call_and_the_actor_lives(self, ray: Any) -> None:
        failing = ray.remote(Failing).remote()
        with pytest.raises(ray.exceptions.RayTaskError, match="the base of all"):
            ray.get(failing.base_exception.remote())
        assert ray.get(failing.echo.remote("alive")) == "alive"

    def test_a_coroutine_that_is_returned_is_not_awaited(self, ray: Any) -> None:
        with pytest.raises(TypeError, match="cannot pickle 'coroutine' object"):
            ray.get(ray.remote(Failing).remote().unawaited.remote())

    def test_an_error_in_the_constructor_fails_the_calls(self, ray: Any) -> None:
        @ray.remote
        class Broken:
            def __init__(self) -> None:
                raise ValueError("made wrong")

            async def call(self) -> None:
                pass

        with pytest.raises(ray.exceptions.ActorDiedError, match="made wrong"):
            ray.get(Broken.remote().call.remote())

    def test_an_error_in_an_async_constructor_fails_the_calls(self, ray: Any) -> None:
        @ray.remote
        class Broken:
            async def __init__(self) -> None:  # type: ignore[misc]
                await asyncio.sleep(0)
                raise ValueError("made wrong")

            async def call(self) -> None:
                pass

        with pytest.raises(ray.exceptions.ActorDiedError, match="made wrong"):
            ray.get(Broken.remote().call.remote())


class Ending(Latch):
    def __init__(self, journal: Journal) -> None:
        import atexit

        super().__init__()
        self.journal = journal
        atexit.register(journal.note, "atexit")

    async def pid(self) -> int:
        return os.getpid()

    async def hold(self, value: object = "passed") -> object:
        value = await super().hold(value)
        self.journal.note("held")
        return value

    def open_soon(self) -> None:
        """Open once this call and what it does next are done: no call opens an actor that ends."""
        asyncio.get_running_loop().call_later(0.05, self._opened.set)

    async def exit(self, ray_name: str) -> None:
        import importlib

        self.open_soon()
        importlib.import_module(f"{ray_name}.actor").exit_actor()

    def exit_synchronously(self, ray_name: str) -> None:
        import importlib

        self.open_soon()
        importlib.import_module(f"{ray_name}.actor").exit_actor()

    def crash(self) -> None:
        os._exit(3)

    async def sys_exit(self) -> None:
        raise SystemExit(3)

    def sys_exit_synchronously(self) -> None:
        raise SystemExit(3)

    async def interrupt(self) -> None:
        raise KeyboardInterrupt

    def __ray_shutdown__(self) -> None:
        self.journal.note("shutdown")


class TestEndings:
    @pytest.mark.parametrize("method", ["exit", "exit_synchronously"])
    def test_exit_actor_lets_running_calls_finish(
        self, ray: Any, journal: Journal, module_name: str, method: str, eventually: Any
    ) -> None:
        ending = ray.remote(Ending).remote(journal)
        pid = ray.get(ending.pid.remote())
        held = ending.hold.remote()
        ray.get(ending.held.remote(1))
        exiting = getattr(ending, method).remote(module_name)
        assert ray.get(held) == "passed"
        with pytest.raises(ray.exceptions.RayActorError, match="exit"):
            ray.get(exiting)
        eventually(lambda: not is_running(pid))
        assert journal.lines()[0] == "held"
        assert sorted(journal.lines()[1:]) == ["atexit", "shutdown"]
        with pytest.raises(ray.exceptions.ActorDiedError, match="exit"):
            ray.get(ending.pid.remote())

    def test_terminate_waits_for_earlier_calls(self, ray: Any, journal: Journal, eventually: Any) -> None:
        ending = ray.remote(Ending).options(max_concurrency=2).remote(journal)
        pid = ray.get(ending.pid.remote())
        held = [ending.hold.remote(i) for i in range(1)] + [ending.echo.remote(i) for i in range(1, 4)]
        ray.get(ending.held.remote(1))
        ray.get(ending.open_soon.remote())
        terminated = ending.__ray_terminate__.remote()
        assert ray.get(held) == [0, 1, 2, 3]
        with pytest.raises(ray.exceptions.ActorDiedError, match="exit"):
            ray.get(terminated)
        eventually(lambda: not is_running(pid))
        assert journal.lines()[0] == "held"
        assert sorted(journal.lines()[1:]) == ["atexit", "shutdown"]

    def test_the_loss_of_the_last_handle_lets_running_calls_finish(
        self, ray: Any, journal: Journal, eventually: Any
    ) -> None:
        ending = ray.remote(Ending).remote(journal)
        pid = ray.get(ending.pid.remote())
        held = ending.hold.remote()
        ray.get(ending.held.remote(1))
        ending.open.remote()
        del ending
        assert ray.get(held) == "passed"
        eventually(lambda: not is_running(pid))
        assert journal.lines()[:2] == ["held", "shutdown"]

    def test_kill_fails_all_running_calls(self, ray: Any, journal: Journal) -> None:
        ending = ray.remote(Ending).remote(journal)
        held = [ending.hold.remote() for _ in range(3)]
        ray.get(ending.held.remote(3))
        ray.kill(ending)
        for each in held:
            with pytest.raises(ray.exceptions.ActorDiedError, match=r"killed by `(ray\.)?kill"):
                ray.get(each)
        assert journal.lines() == []

    def test_a_crash_fails_all_running_calls(self, ray: Any, journal: Journal) -> None:
        ending = ray.remote(Ending).remote(journal)
        held = [ending.hold.remote() for _ in range(3)]
        ray.get(ending.held.remote(3))
        ending.crash.remote()
        for each in held:
            with pytest.raises(ray.exceptions.RayActorError, match=r"died|dead|unavailable"):
                ray.get(each)

    @pytest.mark.differs("Ray's call never ends, nor does any later one")
    @pytest.mark.parametrize("method", ["sys_exit", "sys_exit_synchronously"])
    def test_sys_exit_ends_the_actor(self, ray: Any, journal: Journal, method: str) -> None:
        ending = ray.remote(Ending).remote(journal)
        with pytest.raises(ray.exceptions.ActorDiedError, match=r"died|dead"):
            ray.get(getattr(ending, method).remote())
        with pytest.raises(ray.exceptions.ActorDiedError, match=r"died|dead"):
            ray.get(ending.pid.remote())

    @pytest.mark.differs("Ray's call never ends, nor does any later one")
    def test_a_keyboard_interrupt_ends_the_call(self, ray: Any, journal: Journal) -> None:
        ending = ray.remote(Ending).remote(journal)
        with pytest.raises(ray.exceptions.RayError, match=r"KeyboardInterrupt|cancelled|died|dead"):
            ray.get(ending.interrupt.remote(), timeout=10)


class TestBlocking:
    """Blocking calls stop the loop, and say so."""

    def test_get_works_and_warns_once_that_it_blocks(self, drivers: Drivers) -> None:
        _, stderr = drivers.run("""
            ray.init(namespace="blocking")
            task = ray.remote(echo)

            @ray.remote
            class Blocking:
                async def block(self, value):
                    return ray.get(task.remote(value))

            blocking = Blocking.remote()
            assert ray.get([blocking.block.remote(i) for i in range(3)]) == [0, 1, 2]
            ray.kill(blocking)
            ray.shutdown()
        """)
        assert stderr.count("Using blocking ray.get inside async actor") == 1

    def test_wait_works_in_an_async_method(self, ray: Any) -> None:
        task = ray.remote(echo)

        @ray.remote
        class Blocking:
            async def block(self) -> int:
                ready, _ = ray.wait([task.remote(1)])
                return len(ready)

        assert ray.get(Blocking.remote().block.remote()) == 1

    def test_a_thread_of_an_async_method_may_block(self, ray: Any) -> None:
        task = ray.remote(echo)

        @ray.remote
        class Aside:
            async def call(self, value: int) -> Any:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(None, lambda: ray.get(task.remote(value)))

        aside = Aside.remote()
        assert ray.get([aside.call.remote(i) for i in range(3)]) == [0, 1, 2]

    def test_put_and_calls_work_in_an_async_method(self, ray: Any) -> None:
        @ray.remote
        class Putting:
            async def put(self, value: Any) -> Any:
                return ray.put(value)

            async def take(self, references: list[Any]) -> list[Any]:
                return list(await asyncio.gather(*references))

        putting = Putting.remote()
        references = ray.get([putting.put.remote(i) for i in range(3)])
        assert ray.get(references) == [0, 1, 2]
        assert ray.get(putting.take.remote(references)) == [0, 1, 2]
