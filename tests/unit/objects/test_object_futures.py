"""Objects as futures: awaited on loops, and waited for by threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from lending import Call, Stream, act, bring, bring_error, end, lend, pending, settle
from members import Session

from nbactors import exceptions
from nbactors.frontend.interrupts import Interrupts
from nbactors.local.objects import futures
from nbactors.local.objects.futures import Handover
from nbactors.local.submitting.interruption import Interruption
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef


def on_loop(body: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(body(), 10))


def soon(session: Session, action: Callable[[], Any]) -> None:
    """Run an action on the leader's thread, while the loop runs on this one."""
    session.reactor.discard(action)


@pytest.fixture
def ref(session: Session) -> ObjectRef[Any]:
    return pending(session)


class TestAwait:
    def test_a_value_comes_when_it_is_there(self, session: Session, ref: ObjectRef[Any]) -> None:
        async def body() -> Any:
            soon(session, lambda: bring(ref, 5))
            return await ref

        assert on_loop(body) == 5
        settle(session)  # it is taken out when it has been told
        assert not ref._entry.waiters

    def test_what_is_there_comes_at_once(self, session: Session) -> None:
        async def body() -> None:
            future = session.put(5).as_future()
            assert future.done()
            assert await future == 5

        on_loop(body)

    @pytest.mark.parametrize("is_there", [False, True])
    def test_an_error_is_raised(self, session: Session, ref: ObjectRef[Any], is_there: bool) -> None:
        async def body() -> None:
            if is_there:
                bring_error(ref, LookupError("none"))
            else:
                soon(session, lambda: bring_error(ref, LookupError("none")))
            with pytest.raises(LookupError, match="none"):
                await ref

        on_loop(body)

    def test_a_stop_iteration_is_raised_as_an_error_that_futures_can_hold(
        self, session: Session, ref: ObjectRef[Any]
    ) -> None:
        async def body() -> BaseException | None:
            soon(session, lambda: bring_error(ref, StopIteration(5)))
            return await asyncio.wait_for(asyncio.gather(ref.as_future(), return_exceptions=True), 10)

        [error] = on_loop(body)
        assert isinstance(error, exceptions.RayTaskError)
        assert not isinstance(error, StopIteration)
        assert isinstance(futures._raisable(StopIteration(5)), RuntimeError)

    def test_many_are_gathered(self, session: Session) -> None:
        refs = [pending(session) for _ in range(50)]

        def come() -> None:
            for number, ref in enumerate(refs):
                bring(ref, number)

        async def body() -> list[Any]:
            soon(session, come)
            return await asyncio.gather(*refs)

        assert on_loop(body) == list(range(50))

    def test_a_borrowed_one_is_asked_for(self, owner: Session, borrower: Session) -> None:
        [copy] = lend(owner, borrower, [owner.put("value")])

        async def body() -> Any:
            return await copy

        assert on_loop(body) == "value"

    def test_one_whose_owner_has_ended_raises(self, owner: Session, borrower: Session) -> None:
        [copy] = lend(owner, borrower, [owner.put("value")])
        end(owner, borrower)

        async def body() -> None:
            with pytest.raises(exceptions.OwnerDiedError, match="owner"):
                await copy

        on_loop(body)

    def test_it_needs_a_loop(self, session: Session, ref: ObjectRef[Any]) -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            ref.as_future()
        assert not ref._entry.waiters

    def test_a_forked_child_is_told_that_nothing_will_come(self, session: Session, ref: ObjectRef[Any]) -> None:
        async def body() -> None:
            with pytest.raises(exceptions.RaySystemError, match="this process was forked"):
                await ref

        session.membership.forked = True
        on_loop(body)
        with pytest.raises(exceptions.RaySystemError, match="this process was forked"):
            ref.future()

    def test_one_that_is_cancelled_leaves_the_object(self, session: Session, ref: ObjectRef[Any]) -> None:
        async def body() -> None:
            future = ref.as_future()
            assert len(ref._entry.waiters) == 1
            future.cancel()
            await asyncio.sleep(0)
            assert not ref._entry.waiters
            bring(ref, 5)
            assert await ref == 5

        on_loop(body)

    def test_one_that_is_cancelled_when_its_value_is_on_its_way_stays_cancelled(
        self, session: Session, ref: ObjectRef[Any]
    ) -> None:
        async def body() -> None:
            cancelled, settled = ref.as_future(), ref.as_future()
            bring(ref, 5)
            cancelled.cancel()
            settled.set_result("the user's")
            assert await ref == 5
            assert cancelled.cancelled()
            assert settled.result() == "the user's"

        on_loop(body)

    def test_a_loop_that_is_closed_is_left_alone(self, session: Session, ref: ObjectRef[Any]) -> None:
        async def body() -> None:
            keep.append(ref.as_future())

        keep: list[Any] = []
        on_loop(body)
        bring(ref, 5)
        assert session.get(ref) == 5
        assert not keep[0].done()

    def test_two_loops_wait_for_the_same(self, session: Session, ref: ObjectRef[Any]) -> None:
        barrier = threading.Barrier(3)

        async def body() -> Any:
            future = ref.as_future()
            barrier.wait(10)
            return await future

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = [pool.submit(on_loop, body) for _ in range(2)]
            barrier.wait(10)
            bring(ref, 5)
            assert [result.result(10) for result in results] == [5, 5]


class TestStoppedCell:
    """The user has stopped a cell that awaits: its future is cancelled."""

    @pytest.mark.parametrize(
        ("cancels", "is_passing", "expected"),
        [(True, True, [CancelMode.INTERRUPT]), (True, False, []), (False, True, [])],
        ids=["stopped", "cancelled by the program", "calls go on"],
    )
    def test_the_call_is_cancelled_where_that_is_wanted(
        self,
        session: Session,
        ref: ObjectRef[Any],
        interrupts: Interrupts,
        cancels: bool,
        is_passing: bool,
        expected: list[CancelMode],
    ) -> None:
        call = Call(ref._entry)
        session.objects.waiting.interruption = Interruption(session.process_id, session.reactor, session.peers, cancels)

        async def body() -> None:
            future = ref.as_future()
            interrupts.is_passing = is_passing
            future.cancel()
            await asyncio.sleep(0)
            interrupts.is_passing = False

        on_loop(body)
        settle(session)
        assert call.cancels == expected


class TestHandover:
    def test_what_comes_together_wakes_the_loop_once(self, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
        refs = [pending(session) for _ in range(20)]

        async def body() -> list[Any]:
            loop, wakes = asyncio.get_running_loop(), []
            call = loop.call_soon_threadsafe
            monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *args: (wakes.append(args), call(*args)))
            waiting = asyncio.gather(*[ref.as_future() for ref in refs])
            for ref in refs:
                bring(ref, 5)
            assert await waiting == [5] * 20
            return wakes

        assert len(on_loop(body)) == 1

    def test_each_loop_has_one_and_it_goes_with_the_loop(self) -> None:
        async def body() -> weakref.ref[Handover]:
            loop = asyncio.get_running_loop()
            assert Handover.to(loop) is Handover.to(loop)
            return weakref.ref(Handover.to(loop))

        gone = on_loop(body)
        gc.collect()
        assert gone() is None

    def test_one_whose_loop_has_gone_does_nothing(self) -> None:
        loop = asyncio.new_event_loop()
        handover = Handover(loop)
        loop.close()
        del loop
        gc.collect()
        handover.post(lambda: pytest.fail("it was called"))

    def test_the_error_of_a_callback_is_told_and_those_behind_it_run(self) -> None:
        told: list[dict[str, Any]] = []
        ran: list[str] = []

        def fail() -> None:
            raise LookupError("the user's")

        async def body() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: told.append(context))
            handover = Handover.to(loop)
            handover.post(fail)
            handover.post(lambda: ran.append("behind"))
            await asyncio.sleep(0)

        on_loop(body)
        assert ran == ["behind"]
        assert isinstance(told[0]["exception"], LookupError)

    def test_what_ends_the_loop_leaves_the_others_to_its_next_run(self) -> None:
        ran: list[str] = []

        def leave() -> None:
            raise SystemExit(3)

        loop = asyncio.new_event_loop()
        try:
            handover = Handover.to(loop)
            handover.post(leave)
            handover.post(lambda: ran.append("behind"))
            with pytest.raises(SystemExit, match="3"):
                loop.run_until_complete(asyncio.sleep(0))
            assert ran == []
            loop.run_until_complete(asyncio.sleep(0))
            assert ran == ["behind"]
        finally:
            loop.close()

    def test_a_callback_may_post_another(self) -> None:
        ran: list[int] = []

        async def body() -> None:
            handover = Handover.to(asyncio.get_running_loop())
            handover.post(lambda: (ran.append(1), handover.post(lambda: ran.append(2))))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        on_loop(body)
        assert ran == [1, 2]


class TestDoneCallback:
    def test_it_is_called_on_the_loop_with_the_reference(self, session: Session, ref: ObjectRef[Any]) -> None:
        called: list[Any] = []

        async def body() -> None:
            done = asyncio.Event()
            ref.add_done_callback(lambda found: (called.append((found, threading.get_ident())), done.set()))
            soon(session, lambda: bring(ref, 5))
            await done.wait()

        on_loop(body)
        assert called == [(ref, threading.get_ident())]

    def test_it_is_called_soon_where_the_object_is_there(self, session: Session) -> None:
        called: list[Any] = []

        async def body() -> None:
            ref = session.put(5)
            ref.add_done_callback(called.append)
            assert called == [], "never before the caller goes on"
            await asyncio.sleep(0)
            assert called == [ref]

        on_loop(body)

    def test_it_runs_in_the_context_that_it_came_with(self, session: Session, ref: ObjectRef[Any]) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
        seen: list[str] = []

        async def body() -> None:
            context = contextvars.copy_context()
            context.run(variable.set, "the context's")
            ref.add_done_callback(lambda _: seen.append(variable.get()), context=context)
            bring(ref, 5)
            await asyncio.sleep(0)

        on_loop(body)
        assert seen == ["the context's"]

    @pytest.mark.parametrize("is_on_its_way", [False, True])
    def test_one_that_is_removed_is_not_called(
        self, session: Session, ref: ObjectRef[Any], is_on_its_way: bool
    ) -> None:
        called: list[Any] = []

        async def body() -> None:
            ref.add_done_callback(called.append)
            if is_on_its_way:
                bring(ref, 5)
            assert ref.remove_done_callback(called.append) == 1
            assert ref.remove_done_callback(called.append) == 0
            bring(ref, 5)
            await asyncio.sleep(0)

        on_loop(body)
        assert called == []
        assert not ref._entry.waiters

    def test_asyncio_wait_takes_references(self, session: Session, ref: ObjectRef[Any]) -> None:
        async def body() -> None:
            other: Any = pending(session)
            soon(session, lambda: bring(ref, 5))
            done, unready = await asyncio.wait({ref, other}, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
            assert (done, unready) == ({ref}, {other})

        on_loop(body)


class TestThreadFuture:
    def test_a_value_and_an_error_come(self, session: Session, ref: ObjectRef[Any]) -> None:
        other = pending(session)
        value, error = ref.future(), other.future()
        assert not value.done()
        act(session, lambda: (bring(ref, 5), bring_error(other, LookupError("none"))))
        assert value.result(10) == 5
        assert isinstance(error.exception(10), LookupError)
        assert not ref._entry.waiters

    def test_what_is_there_comes_at_once(self, session: Session) -> None:
        assert session.put(5).future().result(0) == 5

    def test_as_completed_takes_it(self, session: Session, ref: ObjectRef[Any]) -> None:
        first, second = ref.future(), pending(session).future()
        soon(session, lambda: bring(ref, 5))
        assert next(concurrent.futures.as_completed([first, second], 10)) is first
        second.cancel()

    def test_one_that_is_cancelled_leaves_the_object(self, session: Session, ref: ObjectRef[Any]) -> None:
        future = ref.future()
        assert len(ref._entry.waiters) == 1
        assert future.cancel()
        assert not ref._entry.waiters
        bring(ref, 5)
        assert future.cancelled()

    def test_one_that_is_cancelled_when_its_value_comes_stays_cancelled(
        self, session: Session, ref: ObjectRef[Any]
    ) -> None:
        future = ref.future()
        [listener] = ref._entry.waiters
        future.cancel()
        bring(ref, 5)
        listener.ready(ref._entry)
        assert future.cancelled()

    @pytest.mark.parametrize("how", ["settled", "settled while it runs"])
    def test_one_that_the_user_has_settled_stays_as_it_is(
        self, session: Session, ref: ObjectRef[Any], how: str
    ) -> None:
        future = ref.future()
        if how == "settled while it runs":
            assert future.set_running_or_notify_cancel()
        future.set_result("the user's")
        bring(ref, 5)
        assert future.result(0) == "the user's"

    def test_one_that_the_user_settles_in_the_same_moment_stays_as_it_is(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is settled between the look whether it is and the setting of the value."""
        ref = session.put(5)
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        monkeypatch.setattr(ref._entry.home.values, "load", lambda entry: future.set_result("the user's"))
        futures._ThreadFuture(future).ready(ref._entry)
        assert future.result(0) == "the user's"

    def test_callbacks_run_when_it_comes(self, session: Session, ref: ObjectRef[Any]) -> None:
        seen: list[Any] = []
        ref.future().add_done_callback(lambda future: seen.append(future.result()))
        act(session, lambda: bring(ref, 5))
        assert seen == [5]

    def test_a_callback_that_would_end_the_thread_is_told_of(
        self, session: Session, ref: ObjectRef[Any], capfd: pytest.CaptureFixture[str]
    ) -> None:
        def leave(_: Any) -> None:
            raise SystemExit(3)

        ref.future().add_done_callback(leave)
        behind = ref.future()
        act(session, lambda: bring(ref, 5))
        assert behind.result(0) == 5
        assert "SystemExit: 3" in capfd.readouterr().err


class TestUntilReady:
    def test_it_waits_for_the_next_of_a_stream(self, session: Session) -> None:
        stream = Stream(session)

        async def body() -> None:
            waiting = asyncio.create_task(futures.until_ready(stream.inbox))
            await asyncio.sleep(0)
            assert not waiting.done()
            stream.yields(0)
            await waiting
            await futures.until_ready(stream.inbox)

        on_loop(body)
        assert not stream.inbox.waiters

    def test_an_interrupt_of_the_cell_cancels_the_awaited_generator(
        self, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream = Stream(session)
        interruption = Interruption(session.process_id, session.reactor, session.peers, True)
        session.objects.waiting.interruption = interruption
        cancelled: list[object] = []
        monkeypatch.setattr(interruption, "cancel_one", cancelled.append)

        async def cancel(*, is_interrupt: bool) -> None:
            waiting = asyncio.create_task(futures.until_ready(stream.inbox))
            await asyncio.sleep(0)
            monkeypatch.setattr(futures.INTERRUPTS, "is_passing", is_interrupt)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError, match=r"^$"):
                await waiting

        on_loop(lambda: cancel(is_interrupt=False))
        assert not cancelled
        on_loop(lambda: cancel(is_interrupt=True))
        assert cancelled == [stream.inbox]

    def test_one_that_is_woken_after_it_was_cancelled_does_nothing(self, session: Session) -> None:
        stream = Stream(session)

        async def body() -> None:
            waiting = asyncio.create_task(futures.until_ready(stream.inbox))
            await asyncio.sleep(0)
            stream.yields(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError, match=r"^$"):
                await waiting
            await asyncio.sleep(0)

        on_loop(body)
        assert not stream.inbox.waiters
        assert stream.read(1) == [0]
