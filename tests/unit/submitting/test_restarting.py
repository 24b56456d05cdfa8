"""An actor restarts after a crash: what becomes of its calls, and how its creator constructs it again."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from members import ONE_BY_ONE, Session, settle
from played_worker import PID, Actor, PlayedWorker

from nbactors import exceptions
from nbactors.definitions.metadata import STREAMING, MethodMeta
from nbactors.definitions.signature import ANYTHING
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.held import Held
from nbactors.local.submitting import actor_link, restart_file
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.submitting.actors import Actors
from nbactors.local.submitting.construction import Concurrency, Construction
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.options import CallOptions
from nbactors.pickling import pickling
from nbactors.views.summaries import ActorFacts

CRASH = "its worker process (pid 7) was killed by SIGSEGV."


def create(
    session: Session, worker: PlayedWorker, *args: Any, concurrency: Concurrency = ONE_BY_ONE, **meta: Any
) -> LocalActorLink:
    """Create an actor that may restart; `worker` is its first worker."""
    link = session.prepare(Actor, args, concurrency=concurrency)
    assert link.construct is not None
    assert link.meta is not None
    session.actors.keep_construction(link, link.construct)
    link.configure(link.meta._replace(**meta))
    come_up(session, worker, link, 0)
    worker.take(messages.Construct)
    return link


def tell(session: Session, *batch: messages.Control) -> None:
    session.node_end.tell(*batch)
    settle(session)


def restarting(link: LocalActorLink, has_run: bool = True, text: str = CRASH) -> messages.ActorRestarting:
    return messages.ActorRestarting(link.actor_id, text, has_run)


def crash(session: Session, worker: PlayedWorker, link: LocalActorLink, has_run: bool = True) -> None:
    """End a worker, and tell that its actor restarts."""
    settle(session, worker)
    worker.die(session)
    tell(session, restarting(link, has_run))


def up(worker: PlayedWorker, link: LocalActorLink, restarts: int = 1) -> messages.ActorUp:
    return messages.ActorUp(link.actor_id, worker.process_id, PID, restarts)


def come_up(session: Session, worker: PlayedWorker, link: LocalActorLink, restarts: int = 1) -> None:
    """Be the actor's next worker."""
    session.node_end.tell(up(worker, link, restarts))
    settle(session, worker)


def retried(times: int = 1, **options: Any) -> CallOptions:
    return CallOptions(max_task_retries=times, **options)


def retries(ref: Any) -> int:
    return ref._entry.call.retries  # type: ignore[no-any-return]


def to_come(session: Session) -> ObjectRef[Any]:
    """Return an argument that is not final."""
    return ObjectRef(Entry(session.objects, next(session.numbers)))


def unavailable(session: Session, ref: Any, text: str) -> None:
    """Check that a call has failed since the actor restarts."""
    assert ref._entry.done()
    with pytest.raises(exceptions.ActorUnavailableError, match=text):
        session.get(ref)


@pytest.fixture
def timers(session: Session, monkeypatch: pytest.MonkeyPatch) -> dict[float, list[Callable[[], None]]]:
    """The timers that were set, by their delay. The test rings them."""
    found: dict[float, list[Callable[[], None]]] = {}
    call_later = type(session.reactor).call_later

    def note(self: Any, delay: float, callback: Callable[[], None]) -> Any:
        found.setdefault(delay, []).append(callback)
        return call_later(self, delay, callback)

    monkeypatch.setattr(type(session.reactor), "call_later", note)
    return found


# ------------------------------------------------------------------------------------------------------ calls in flight


class TestCallsInFlight:
    def test_without_a_retry_it_fails_with_the_cause(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0])
        ref = session.call(link, "method")
        crash(session, workers[0], link)
        unavailable(session, ref, r"The actor was restarted \(.* was killed by SIGSEGV\)")
        come_up(session, workers[1], link)
        assert workers[1].methods() == []

    def test_with_a_retry_it_goes_to_the_next_worker(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0])
        ref = session.call(link, "method", 5, options=retried(1))
        crash(session, workers[0], link)
        assert not ref._entry.done()
        assert retries(ref) == 0
        come_up(session, workers[1], link)
        assert [type(message) for message in workers[1].got] == [messages.Construct, messages.Call]
        call = workers[1].take(messages.Call)
        assert (call.number, pickling.loads(call.data)) == (ref._entry.number, ((5,), {}))
        workers[1].reply(call, "again")
        assert session.get(ref) == "again"

    @pytest.mark.parametrize("given", ["actor", "method", "call"])
    def test_actor_method_and_call_give_the_number_of_retries(
        self, session: Session, workers: list[PlayedWorker], given: str
    ) -> None:
        link = create(session, workers[0], max_task_retries=3 if given == "actor" else 5)
        meta = MethodMeta("method", ANYTHING, max_task_retries=None if given == "actor" else 4)
        ref = link.call(meta, (), {}, retried(0) if given == "call" else None)
        assert retries(ref) == {"actor": 3, "method": 4, "call": 0}[given]

    def test_each_crash_takes_one_retry(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0], max_task_retries=2)
        ref = session.call(link, "method")
        for number, left in enumerate([1, 0]):
            crash(session, workers[number], link)
            assert retries(ref) == left
            come_up(session, workers[number + 1], link, number + 1)
        crash(session, workers[2], link)
        unavailable(session, ref, "was restarted")

    def test_minus_one_is_any_number_of_retries(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0], max_task_retries=-1)
        ref = session.call(link, "method")
        for number in range(2):
            crash(session, workers[number], link)
            come_up(session, workers[number + 1], link, number + 1)
        workers[2].reply(workers[2].take(messages.Call), "at last")
        assert session.get(ref) == "at last"

    def test_a_call_that_cannot_have_run_needs_no_retry(self, session: Session, workers: list[PlayedWorker]) -> None:
        """The constructor had not returned."""
        link = create(session, workers[0])
        refs = [session.call(link, "first"), session.call(link, "second", options=retried(1))]
        crash(session, workers[0], link, has_run=False)
        come_up(session, workers[1], link)
        assert workers[1].methods() == ["first", "second"]
        assert [retries(ref) for ref in refs] == [0, 1]

    def test_an_answer_that_was_sent_before_the_crash_arrives(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], max_task_retries=1)
        ref = session.call(link, "method")
        settle(session, workers[0])
        workers[0].reply(workers[0].take(messages.Call), "in time")
        tell(session, restarting(link))
        workers[0].die(session)
        assert session.get(ref) == "in time"
        come_up(session, workers[1], link)
        assert workers[1].methods() == []

    def test_arguments_are_sent_again(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0], max_task_retries=1)
        session.call(link, "method", np.zeros(100_000), session.put(3), key=session.put(4))
        settle(session, workers[0])
        first = workers[0].take(messages.Call)
        crash(session, workers[0], link)
        come_up(session, workers[1], link)
        second = workers[1].take(messages.Call)
        assert first.deps is not None
        assert second.deps is not None
        assert [(key, pickling.loads(value.data)) for key, value in second.deps] == [(1, 3), ("key", 4)]
        assert first.rest is not None
        assert second.rest is not None
        assert second.rest.data == first.rest.data

    @pytest.mark.parametrize("retries", [0, 1, -1])
    @pytest.mark.parametrize("has_run", [False, True])
    def test_a_cancelled_call_is_not_run_again(
        self, session: Session, workers: list[PlayedWorker], retries: int, has_run: bool
    ) -> None:
        link = create(session, workers[0], max_task_retries=retries)
        ref = session.call(link, "method")
        settle(session, workers[0])
        ref._entry.call.cancel(CancelMode.CANCEL, True)
        crash(session, workers[0], link, has_run)
        with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
            session.get(ref)
        come_up(session, workers[1], link)
        assert workers[1].methods() == []

    def test_a_call_may_be_cancelled_while_it_waits_for_the_verdict(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], max_task_retries=1)
        ref = session.call(link, "method")
        settle(session, workers[0])
        workers[0].die(session)
        ref._entry.call.cancel(CancelMode.CANCEL, True)
        tell(session, restarting(link))
        with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
            session.get(ref)
        assert link._cut_off == set()

    def test_a_call_may_be_cancelled_while_it_waits_for_the_next_worker(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], max_task_retries=1)
        ref = session.call(link, "method")
        crash(session, workers[0], link)
        ref._entry.call.cancel(CancelMode.CANCEL, True)
        with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
            session.get(ref)
        come_up(session, workers[1], link)
        assert workers[1].methods() == []

    def test_the_time_limit_of_a_call_goes_on(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0])
        ref = session.call(link, "method", options=retried(1, timeout_s=1000.0))
        crash(session, workers[0], link)
        ref._entry.call.cancel(CancelMode.TIMEOUT, True, 1000.0)
        with pytest.raises(exceptions.CallTimeoutError, match="queued"):
            session.get(ref)

    def test_a_stream_that_is_run_again_gives_each_value_once(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], max_task_retries=1)
        stream = session.call(link, "method", num_returns=STREAMING)
        settle(session, workers[0])
        workers[0].yields(workers[0].take(messages.Call), 1, "a")
        assert session.get(next(stream)) == "a"
        crash(session, workers[0], link)
        come_up(session, workers[1], link)
        call = workers[1].take(messages.Call)
        for index, value in enumerate("ab", start=1):
            workers[1].yields(call, index, value)
        workers[1].reply(call)
        assert [session.get(ref) for ref in stream] == ["b"]

    def test_a_stream_without_a_retry_ends_with_the_cause(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0])
        stream = session.call(link, "method", num_returns=STREAMING)
        settle(session, workers[0])
        workers[0].yields(workers[0].take(messages.Call), 1, "a")
        assert session.get(next(stream)) == "a"
        crash(session, workers[0], link)
        unavailable(session, next(stream), "was restarted")


# --------------------------------------------------------------------------------------------------------------- order


class TestOrder:
    def test_calls_run_in_the_order_of_their_submission(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0], max_task_retries=1)
        argument = to_come(session)
        session.call(link, "a")
        without = session.call(link, "without a retry", options=retried(0))
        session.call(link, "b")
        session.call(link, "c", argument)
        session.call(link, "d")
        settle(session, workers[0])
        assert workers[0].methods() == ["a", "without a retry", "b"]
        crash(session, workers[0], link)
        unavailable(session, without, "was restarted")
        session.call(link, "e")
        come_up(session, workers[1], link)
        assert workers[1].methods() == ["a", "b"]
        argument._entry.resolve(b"N.")
        settle(session, workers[1])
        assert workers[1].methods() == ["a", "b", "c", "d", "e"]

    def test_each_group_keeps_its_order(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(
            session, workers[0], concurrency=Concurrency(False, 1, {"io": 1}), groups=("io",), max_task_retries=1
        )
        for number in range(6):
            session.call(link, f"{number}", group="io" if number % 2 else "")
        settle(session, workers[0])
        crash(session, workers[0], link)
        session.call(link, "6")
        session.call(link, "7", group="io")
        come_up(session, workers[1], link)
        methods = workers[1].methods()
        assert [method for method in methods if int(method) % 2] == ["1", "3", "5", "7"]
        assert [method for method in methods if not int(method) % 2] == ["0", "2", "4", "6"]

    def test_without_order_a_call_with_a_missing_argument_holds_up_no_other(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], max_task_retries=1, in_order=False)
        argument = to_come(session)
        session.call(link, "sent")
        session.call(link, "waits", argument)
        crash(session, workers[0], link)
        session.call(link, "comes later")
        come_up(session, workers[1], link)
        assert workers[1].methods() == ["sent", "comes later"]
        argument._entry.resolve(b"N.")
        settle(session, workers[1])
        assert workers[1].methods() == ["sent", "comes later", "waits"]


# -------------------------------------------------------------------------------------------------- calls not sent yet


class TestCallsNotSent:
    def test_a_call_that_waits_for_an_argument_waits_on_without_a_retry(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0])
        argument = to_come(session)
        refs = [session.call(link, "waits", argument), session.call(link, "behind")]
        crash(session, workers[0], link)
        argument._entry.resolve(b"N.")
        assert not any(ref._entry.done() for ref in refs)
        come_up(session, workers[1], link)
        assert workers[1].methods() == ["waits", "behind"]

    def test_a_new_call_without_a_retry_fails_at_once(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0])
        crash(session, workers[0], link)
        unavailable(session, session.call(link, "method"), r"The actor is restarting \(.* was killed by SIGSEGV\)")
        unavailable(session, session.call(link, "method", np.zeros(100_000)), "is restarting")
        unavailable(session, session.call(link, "method", session.put(1)), "is restarting")
        come_up(session, workers[1], link)
        ref = session.call(link, "after it")
        settle(session, workers[1])
        assert workers[1].methods() == ["after it"]
        assert not ref._entry.done()

    def test_a_new_call_waits_that_has_a_retry_or_misses_an_argument(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0])
        crash(session, workers[0], link)
        argument = to_come(session)
        with_retry = session.call(link, "with a retry", options=retried(1))
        session.call(link, "with an argument", argument)
        come_up(session, workers[1], link)
        argument._entry.resolve(b"N.")
        settle(session, workers[1])
        assert workers[1].methods() == ["with a retry", "with an argument"]
        assert retries(with_retry) == 1, "it has not run before"

    def test_new_calls_wait_for_an_actor_that_was_not_constructed(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0])
        crash(session, workers[0], link, has_run=False)
        session.call(link, "method")
        come_up(session, workers[1], link)
        assert workers[1].methods() == ["method"]

    def test_no_call_goes_to_a_worker_that_is_known_to_have_ended(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        """Its socket is not read to its end yet."""
        link = create(session, workers[0])
        argument = to_come(session)
        session.call(link, "waits", argument)
        tell(session, restarting(link))
        unavailable(session, session.call(link, "new"), "is restarting")
        ref = session.call(link, "with a retry", options=retried(1))
        argument._entry.resolve(b"N.")
        settle(session, workers[0])
        assert workers[0].methods() == []
        workers[0].die(session)
        come_up(session, workers[1], link)
        assert workers[1].methods() == ["waits", "with a retry"]
        assert retries(ref) == 1

    def test_calls_that_wait_count_for_the_limit_of_pending_calls(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], max_task_retries=1, max_pending_calls=1)
        session.call(link, "method")
        crash(session, workers[0], link)
        with pytest.raises(exceptions.PendingCallsLimitExceeded, match="more than 1 tasks"):
            session.call(link, "method")


# -------------------------------------------------------------------------------------------- the order of what is told


class TestOrderOfNews:
    @pytest.mark.parametrize("first", ["the news", "the end of the connection"])
    def test_the_news_and_the_end_of_the_connection_come_in_any_order(
        self, session: Session, workers: list[PlayedWorker], first: str
    ) -> None:
        link = create(session, workers[0])
        with_retry, without = session.call(link, "again", options=retried(1)), session.call(link, "once")
        settle(session, workers[0])
        if first == "the news":
            tell(session, restarting(link))
            assert not without._entry.done(), "its answer may still be in the socket"
            workers[0].die(session)
        else:
            workers[0].die(session)
            assert not without._entry.done(), "the cause is not known"
            tell(session, restarting(link))
        unavailable(session, without, "was restarted")
        assert retries(with_retry) == 0
        come_up(session, workers[1], link)
        assert workers[1].methods() == ["again"]

    def test_the_next_worker_may_be_up_before_the_connection_is_read_to_its_end(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], max_task_retries=1)
        ref = session.call(link, "method")
        settle(session, workers[0])
        tell(session, restarting(link), up(workers[1], link))
        settle(session, workers[1])
        assert workers[1].got == []
        workers[0].die(session)
        settle(session, workers[1])
        assert [type(message) for message in workers[1].got] == [messages.Construct, messages.Call]
        workers[1].reply(workers[1].take(messages.Call), 1)
        assert session.get(ref) == 1
        assert link.facts() == ActorFacts("alive", PID, "", 0)

    @pytest.mark.parametrize("is_read_out", [True, False])
    def test_the_next_worker_tells_of_a_restart_that_the_node_did_not_tell(
        self, session: Session, workers: list[PlayedWorker], is_read_out: bool
    ) -> None:
        """The node did not know yet that this process has a handle."""
        link = create(session, workers[0])
        lost, kept = session.call(link, "lost"), session.call(link, "kept", options=retried(1))
        settle(session, workers[0])
        if is_read_out:
            workers[0].die(session)
            settle(session)
            come_up(session, workers[1], link)
        else:
            come_up(session, workers[1], link)
            workers[0].die(session)
            settle(session, workers[1])
        unavailable(session, lost, "its worker process has ended")
        assert workers[1].methods() == ["kept"]
        assert retries(kept) == 0

    def test_late_news_of_the_last_worker_do_not_look_like_a_restart(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0])
        ref = session.call(link, "method", options=retried(1))
        settle(session, workers[0])
        workers[0].die(session)
        settle(session)
        tell(session, up(workers[0], link, 0))
        assert retries(ref) == 1
        tell(session, restarting(link))
        come_up(session, workers[1], link)
        assert (workers[1].methods(), retries(ref)) == (["method"], 0)

    def test_a_worker_of_which_a_child_keeps_the_socket_open_is_given_up(
        self, session: Session, workers: list[PlayedWorker], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(actor_link, "READ_OUT_S", 0)
        link = create(session, workers[0])
        with_retry, without = session.call(link, "again", options=retried(1)), session.call(link, "once")
        settle(session, workers[0])
        tell(session, restarting(link))  # nobody tells that the process has gone, since nobody watches it
        unavailable(session, without, "was restarted")
        assert not with_retry._entry.done()
        come_up(session, workers[1], link)
        assert workers[1].methods() == ["again"]

    def test_the_next_worker_may_end_before_the_connection_to_the_last_is_read_to_its_end(
        self, session: Session, workers: list[PlayedWorker], timers: dict[float, list[Callable[[], None]]]
    ) -> None:
        link = create(session, workers[0])
        with_retry, without = session.call(link, "again", options=retried(1)), session.call(link, "once")
        settle(session, workers[0])
        tell(session, restarting(link), up(workers[1], link), restarting(link, has_run=False))
        workers[1].die(session)
        workers[0].die(session)
        unavailable(session, without, "was restarted")
        assert retries(with_retry) == 0, "the first worker may have run it"
        assert link.facts().state == "restarting"
        for ring in timers.get(actor_link.VERDICT_S, []):
            ring()
        come_up(session, workers[2], link, 2)
        assert workers[2].methods() == ["again"]

    def test_a_worker_that_has_gone_before_it_was_reached_is_replaced(
        self, session: Session, workers: list[PlayedWorker], timers: dict[float, list[Callable[[], None]]]
    ) -> None:
        link = create(session, workers[0], max_task_retries=1)
        ref = session.call(link, "method")
        crash(session, workers[0], link)
        workers[1].die(session)
        come_up(session, workers[1], link)
        tell(session, restarting(link, has_run=False))
        assert retries(ref) == 0
        for ring in timers[actor_link.VERDICT_S]:
            ring()
        come_up(session, workers[2], link, 2)
        assert workers[2].methods() == ["method"]

    def test_old_timers_do_not_touch_the_next_worker(
        self, session: Session, workers: list[PlayedWorker], timers: dict[float, list[Callable[[], None]]]
    ) -> None:
        link = create(session, workers[0], max_task_retries=-1)
        settle(session, workers[0])
        tell(session, restarting(link))
        workers[0].die(session)
        come_up(session, workers[1], link)
        workers[1].die(session)
        tell(session, restarting(link))
        come_up(session, workers[2], link, 2)
        assert timers[actor_link.VERDICT_S]
        assert timers[actor_link.READ_OUT_S]
        connection = link._connection
        for ring in [*timers[actor_link.VERDICT_S], *timers[actor_link.READ_OUT_S]]:
            ring()
        settle(session, workers[2])
        assert link._connection is connection
        assert link.facts().state == "alive"
        ref = session.call(link, "method")
        settle(session, workers[2])
        workers[2].reply(workers[2].take(messages.Call), 1)
        assert session.get(ref) == 1

    def test_without_news_after_a_restart_calls_fail_after_a_while(
        self, session: Session, workers: list[PlayedWorker], timers: dict[float, list[Callable[[], None]]]
    ) -> None:
        link = create(session, workers[0])
        crash(session, workers[0], link)
        come_up(session, workers[1], link)
        timers.clear()
        ref = session.call(link, "method")
        settle(session, workers[1])
        workers[1].die(session)
        for ring in timers[actor_link.VERDICT_S]:
            ring()
        with pytest.raises(exceptions.ActorDiedError, match="the connection to it was lost"):
            session.get(ref)

    @pytest.mark.parametrize("is_closed", [False, True])
    def test_the_death_of_an_actor_that_restarts_fails_all_calls(
        self, session: Session, workers: list[PlayedWorker], is_closed: bool
    ) -> None:
        link = create(session, workers[0], max_task_retries=1)
        refs = [session.call(link, "sent"), session.call(link, "waits", to_come(session))]
        settle(session, workers[0])
        tell(session, restarting(link))
        if is_closed:
            workers[0].die(session)
        tell(session, messages.ActorDown(link.actor_id, "killed", "kill() was called.", "Actor", "", PID))
        if not is_closed:
            workers[0].die(session)
        tell(session, restarting(link), up(workers[1], link))
        settle(session, workers[1])
        for ref in refs:
            with pytest.raises(exceptions.ActorDiedError, match="kill"):
                session.get(ref)
        assert workers[1].got == []
        assert link.facts().state == "dead"
        assert session.pending_calls() == []
        assert link._cut_off == set()

    def test_a_restarting_actor_is_shown_as_such(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0], max_task_retries=1)
        session.call(link, "method")
        crash(session, workers[0], link)
        assert link.facts() == ActorFacts("restarting", 0, "", 1)
        come_up(session, workers[1], link)
        assert link.facts() == ActorFacts("alive", PID, "", 1)

    def test_the_loss_of_the_node_ends_an_actor_that_restarts(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], max_task_retries=1)
        ref = session.call(link, "method")
        crash(session, workers[0], link)
        session.node_end.close()
        with pytest.raises(exceptions.ActorDiedError, match="node daemon has ended"):
            session.get(ref)

    def test_the_news_may_come_before_the_handle(self, session: Session, workers: list[PlayedWorker]) -> None:
        actor_id = b"a" * 16
        tell(session, messages.ActorRestarting(actor_id, CRASH, True))
        hold = session.actors.obtain(actor_id, 1)
        link = hold.link
        assert link.facts().state == "restarting"
        unavailable(session, session.call(link, "method"), "is restarting")
        come_up(session, workers[0], link)
        assert link.facts().state == "alive"
        assert workers[0].got == [], "only the creator constructs it"

    def test_a_link_whose_last_call_has_failed_ends_with_its_handle(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0])
        actor_id = link.actor_id
        session.call(link, "method")
        settle(session, workers[0])
        tell(session, restarting(link))
        del link, session.holds[actor_id]
        workers[0].die(session)
        gc.collect()
        settle(session)
        assert session.node_end.expect(messages.ReleaseHold) == messages.ReleaseHold(actor_id, 1)

    @pytest.mark.parametrize("step", ["_take_out", "_doom"])
    def test_an_asynchronous_exception_loses_no_call(
        self, session: Session, workers: list[PlayedWorker], monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        link = create(session, workers[0])
        refs = [session.call(link, "first"), session.call(link, "second", options=retried(1))]
        settle(session, workers[0])
        workers[0].die(session)
        whole = getattr(type(link), step)

        def torn(*args: Any) -> None:
            monkeypatch.setattr(type(link), step, whole)
            raise KeyboardInterrupt("torn")

        monkeypatch.setattr(type(link), step, torn)
        with pytest.raises(KeyboardInterrupt, match="torn"):
            link.on_restarting(restarting(link))
        link.on_restarting(restarting(link))
        settle(session)
        unavailable(session, refs[0], "was restarted")
        assert retries(refs[1]) == 0
        come_up(session, workers[1], link)
        assert workers[1].methods() == ["second"]

    def test_an_asynchronous_exception_as_the_connection_closes_does_not_run_a_call_twice(
        self, session: Session, workers: list[PlayedWorker], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = create(session, workers[0])
        ref = session.call(link, "once")
        settle(session, workers[0])
        tell(session, restarting(link))
        connection = link._connection
        assert connection is not None
        keep = Actors.keep

        def torn(*args: Any) -> None:
            monkeypatch.setattr(Actors, "keep", keep)
            raise KeyboardInterrupt("torn")

        monkeypatch.setattr(Actors, "keep", torn)
        with pytest.raises(KeyboardInterrupt, match="torn"):
            link.on_connection_closed(connection, "why")
        link.on_connection_closed(connection, "why")
        unavailable(session, ref, "was restarted")


# -------------------------------------------------------------------------------------------------------- construction


class TestConstruction:
    def test_the_creator_constructs_each_worker_with_the_same_arguments(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], 1, [2], session.put("three"), concurrency=Concurrency(True, 5, {"io": 2}))
        for number in (1, 2):
            crash(session, workers[number - 1], link)
            come_up(session, workers[number], link, number)
            sent = workers[number].take(messages.Construct)
            assert sent.actor_id == link.actor_id
            assert pickling.loads(sent.cls.data) is Actor
            assert pickling.loads(sent.args.data) == ((1, [2], None), {})
            assert [(key, pickling.loads(value.data)) for key, value in sent.deps] == [(2, "three")]
            assert (sent.is_async, sent.max_concurrency, sent.groups) == (True, 5, {"io": 2})

    def test_one_restart_is_one_construction(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0])
        crash(session, workers[0], link)
        come_up(session, workers[1], link)
        come_up(session, workers[1], link)
        workers[1].take(messages.Construct)
        assert workers[1].got == []

    def test_a_worker_whose_connection_is_made_anew_is_not_constructed_again(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0])
        crash(session, workers[0], link)
        come_up(session, workers[1], link)
        workers[1].take(messages.Construct)
        session.peers.outgoing()[0].close("the other side has given this connection up")
        session.call(link, "method")
        settle(session, workers[1])
        assert workers[1].methods() == ["method"]
        assert [type(message) for message in workers[1].got] == [messages.Call]

    def test_a_construction_that_was_not_sent_yet_is_sent_to_the_next_worker(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        argument = to_come(session)
        link = session.prepare(Actor, (argument,))
        assert link.construct is not None
        session.actors.keep_construction(link, link.construct)
        session.call(link, "method")
        come_up(session, workers[0], link, 0)
        crash(session, workers[0], link, has_run=False)
        come_up(session, workers[1], link)
        assert workers[1].got == []
        argument._entry.resolve(b"N.")
        settle(session, workers[1])
        assert [type(message) for message in workers[1].got] == [messages.Construct, messages.Call]

    def test_what_the_class_of_an_update_captures_is_kept_until_the_actor_is_dead(
        self, session: Session, worker: PlayedWorker
    ) -> None:
        link = create(session, worker)
        for captured in ["first", "second"]:
            session.actors.keep_captured(link, [captured])
        assert session.actors._captured == {link.actor_id: ["second"]}
        tell(session, messages.ActorDown(link.actor_id, "killed", "", "", "", 0))
        assert session.actors._captured == {}
        session.actors.keep_captured(link, ["an update that has come just before the death"])
        assert session.actors._captured == {}

    def test_a_creator_without_a_handle_constructs_the_actor_again(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], 1)
        actor_id = link.actor_id
        del link, session.holds[actor_id]
        settle(session)
        assert session.actors.existing(actor_id) is None
        workers[0].die(session)
        tell(session, messages.ActorUp(actor_id, workers[1].process_id, PID, 1))
        settle(session, workers[1])
        assert pickling.loads(workers[1].take(messages.Construct).args.data) == ((1,), {})
        assert session.actors.existing(actor_id) is None, "it keeps no link"
        hold = session.actors.obtain(actor_id, 1)
        come_up(session, workers[1], hold.link)
        assert workers[1].got == [], "the next handle is no reason to construct it again"

    def test_an_argument_that_a_creator_without_a_handle_waits_for_is_sent(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        argument = to_come(session)
        link = session.prepare(Actor, (argument,))
        assert link.construct is not None
        actor_id = link.actor_id
        session.actors.keep_construction(link, link.construct)
        come_up(session, workers[0], link, 0)
        crash(session, workers[0], link, has_run=False)
        del link, session.holds[actor_id]
        gc.collect()
        tell(session, messages.ActorUp(actor_id, workers[1].process_id, PID, 1))
        argument._entry.resolve(b"N.")
        settle(session, workers[1])
        assert workers[1].take(messages.Construct).actor_id == actor_id

    @pytest.mark.parametrize("has_handle", [False, True])
    def test_the_construction_is_kept_until_the_actor_is_dead(
        self, session: Session, workers: list[PlayedWorker], has_handle: bool
    ) -> None:
        link = create(session, workers[0])
        actor_id = link.actor_id
        crash(session, workers[0], link)
        come_up(session, workers[1], link)
        if not has_handle:
            del link, session.holds[actor_id]
            settle(session)
        assert list(session.actors._constructions) == [actor_id]
        tell(session, messages.ActorDown(actor_id, "killed", "", "", "", 0))
        assert session.actors._constructions == {}

    @pytest.mark.parametrize("is_told", ["before the link is made", "after the link is made"])
    def test_the_construction_of_an_actor_that_has_died_meanwhile_is_not_kept(
        self, session: Session, worker: PlayedWorker, is_told: str
    ) -> None:
        """The node knows a named actor before its creator has a link."""
        actor_id = b"a" * 16
        down = messages.ActorDown(actor_id, "killed", "kill() was called.", "", "", 0)
        if is_told == "before the link is made":
            tell(session, down)
        link = session.actors.create(actor_id, is_known=True).link
        if is_told == "after the link is made":
            tell(session, down)
        construct = Construction(link, Held(b""), b"", ONE_BY_ONE, 0)
        session.actors.keep_construction(link, construct)
        assert session.actors._constructions == {}

    def test_another_process_constructs_nothing(self, session: Session, workers: list[PlayedWorker]) -> None:
        hold = session.actors.obtain(b"a" * 16, 1)
        link = hold.link
        come_up(session, workers[0], link, 0)
        session.call(link, "method", options=retried(1))
        crash(session, workers[0], link)
        come_up(session, workers[1], link)
        assert [type(message) for message in workers[1].got] == [messages.Call]


# ---------------------------------------------------------------------------------------------------------------- files


class TestFile:
    """The call of a detached actor's constructor is written to a file."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "restarts" / "actor"

    def prepare(self, session: Session, path: Path, *args: Any) -> LocalActorLink:
        link = session.prepare(Actor, args)
        assert link.construct is not None
        link.construct.file = str(path)
        session.actors.keep_construction(link, link.construct)
        link.pump()
        return link

    def test_it_is_written_before_a_worker_is_there(self, session: Session, worker: PlayedWorker, path: Path) -> None:
        link = self.prepare(session, path, 1, session.put(2))
        assert [file.name for file in path.parent.iterdir()] == ["actor"]
        assert path.stat().st_mode & 0o777 == 0o600
        creator, concurrency, origin, cls, rest, deps = restart_file.read(str(path))
        assert (creator, concurrency, origin) == (session.process_id, ONE_BY_ONE, 0)
        assert restart_file.held(cls).load().__name__ == "Actor"
        assert restart_file.held(rest).load() == ((1, None), {})
        assert [(key, restart_file.held(parts).load()) for key, parts in deps] == [(1, 2)]
        come_up(session, worker, link, 0)
        assert len(worker.take(messages.Construct).deps) == 1

    def test_large_values_are_written(self, session: Session, worker: PlayedWorker, path: Path) -> None:
        array = np.arange(100_000)
        link = self.prepare(session, path, array, session.put(array))
        _, _, _, _, rest, deps = restart_file.read(str(path))
        assert np.array_equal(restart_file.held(rest).load()[0][0], array)
        assert np.array_equal(restart_file.held(deps[0][1]).load(), array)
        tell(session, messages.ActorDown(link.actor_id, "killed", "", "", "", 0))

    def test_it_waits_for_the_arguments(self, session: Session, worker: PlayedWorker, path: Path) -> None:
        argument = to_come(session)
        link = self.prepare(session, path, argument)
        come_up(session, worker, link, 0)
        assert not path.exists()
        argument._entry.resolve(pickling.dumps("it").data)
        assert restart_file.held(restart_file.read(str(path))[5][0][1]).load() == "it"
        settle(session, worker)
        assert worker.take(messages.Construct)

    def test_a_failed_argument_is_not_written(self, session: Session, worker: PlayedWorker, path: Path) -> None:
        argument = to_come(session)
        link = self.prepare(session, path, argument)
        argument._entry.resolve(failures.encode(ValueError("no value")), error=True)
        come_up(session, worker, link, 0)
        assert not path.exists()

    def test_it_is_written_once(self, session: Session, worker: PlayedWorker, path: Path) -> None:
        link = self.prepare(session, path)
        path.unlink()
        link.pump()
        assert not path.exists()

    def test_an_actor_whose_file_cannot_be_written_ends(
        self, session: Session, worker: PlayedWorker, path: Path
    ) -> None:
        path.parent.write_text("no directory")
        link = self.prepare(session, path)
        with pytest.raises(
            exceptions.ActorDiedError, match=r"could not be written to a file for restarts: .*File exists"
        ):
            session.get(session.call(link, "method"))
        assert session.node_end.expect(messages.KillActor).actor_id == link.actor_id

    def test_a_file_that_was_written_after_the_node_has_removed_it_is_removed(
        self, session: Session, worker: PlayedWorker, path: Path
    ) -> None:
        link = self.prepare(session, path)
        tell(session, messages.ActorDown(link.actor_id, "killed", "kill() was called.", "", "", 0))
        assert not path.exists()

    def test_the_end_of_the_node_leaves_the_file(self, session: Session, worker: PlayedWorker, path: Path) -> None:
        link = self.prepare(session, path)
        session.node_end.close()
        settle(session)
        assert link.is_down
        assert path.exists(), "the actor may live, and its next node removes the file"


# ---------------------------------------------------------------------------------------------------------- exceptions


class TestRetriedExceptions:
    @pytest.mark.parametrize(
        ("given", "sent"), [(False, b""), (True, b"*"), ((KeyError,), (KeyError,))], ids=["none", "all", "some"]
    )
    @pytest.mark.parametrize("by", ["method", "call"])
    @pytest.mark.parametrize("argument", ["small", "reference"])
    def test_the_worker_is_told_for_which_exceptions_a_call_is_run_again(
        self, session: Session, worker: PlayedWorker, given: Any, sent: Any, by: str, argument: str
    ) -> None:
        link = create(session, worker)
        meta = MethodMeta("method", ANYTHING, retry_exceptions=given if by == "method" else (IndexError,))
        options = CallOptions(retry_exceptions=given) if by == "call" else None
        link.call(meta, (1 if argument == "small" else session.put(1),), {}, options)
        settle(session, worker)
        told = worker.take(messages.Call).retry_exceptions
        assert (told if isinstance(sent, bytes) else pickling.loads(told)) == sent

    def test_a_call_that_raises_such_an_exception_is_run_again(self, session: Session, worker: PlayedWorker) -> None:
        link = create(session, worker, max_task_retries=2)
        ref = session.call(link, "method", options=CallOptions(retry_exceptions=True))
        settle(session, worker)
        for left in (1, 0):
            worker.raises(worker.take(messages.Call), KeyError("again"), retriable=True)
            settle(session, worker)
            assert retries(ref) == left
        worker.raises(worker.take(messages.Call), KeyError("the last"), retriable=True)
        with pytest.raises(KeyError, match="the last"):
            session.get(ref)

    def test_it_comes_before_the_calls_that_wait(self, session: Session, worker: PlayedWorker) -> None:
        """One of these may wait for its result."""
        link = create(session, worker, max_task_retries=1)
        again = session.call(link, "again")
        session.call(link, "waits", again)
        settle(session, worker)
        worker.raises(worker.take(messages.Call), KeyError("again"), retriable=True)
        settle(session, worker)
        assert worker.methods() == ["again"]
        worker.reply(worker.take(messages.Call))
        settle(session, worker)
        assert worker.methods() == ["waits"]

    def test_crashes_and_exceptions_share_the_retries(self, session: Session, workers: list[PlayedWorker]) -> None:
        link = create(session, workers[0], max_task_retries=2)
        ref = session.call(link, "method", options=CallOptions(retry_exceptions=True))
        settle(session, workers[0])
        workers[0].raises(workers[0].take(messages.Call), KeyError("again"), retriable=True)
        settle(session, workers[0])
        crash(session, workers[0], link)
        come_up(session, workers[1], link)
        workers[1].raises(workers[1].take(messages.Call), KeyError("the last"), retriable=True)
        with pytest.raises(KeyError, match="the last"):
            session.get(ref)

    def test_a_cancelled_call_is_not_run_again(self, session: Session, worker: PlayedWorker) -> None:
        link = create(session, worker, max_task_retries=-1)
        ref = session.call(link, "method")
        settle(session, worker)
        ref._entry.call.cancel(CancelMode.CANCEL, True)
        worker.raises(worker.take(messages.Call), KeyError("cancelled"), retriable=True)
        with pytest.raises(KeyError, match="cancelled"):
            session.get(ref)

    def test_a_call_that_another_thread_cancels_meanwhile_is_not_run_again(
        self, session: Session, worker: PlayedWorker
    ) -> None:
        link = create(session, worker, max_task_retries=-1)
        ref = session.call(link, "method")
        settle(session, worker)
        link._turns.owner = -1  # another thread's, which comes to its step after the error was read
        ref._entry.call.cancel(CancelMode.CANCEL, True)
        worker.raises(worker.take(messages.Call), KeyError("again"), retriable=True)
        settle(session, worker)
        link._turns.owner = 0
        link.pump()
        settle(session, worker)
        with pytest.raises(exceptions.TaskCancelledError, match="cancelled"):
            session.get(ref)
        assert worker.methods() == []

    def test_a_call_that_is_to_run_again_waits_for_the_next_worker(
        self, session: Session, workers: list[PlayedWorker]
    ) -> None:
        link = create(session, workers[0], max_task_retries=1)
        ref = session.call(link, "method")
        settle(session, workers[0])
        tell(session, restarting(link))
        workers[0].raises(workers[0].take(messages.Call), KeyError("again"), retriable=True)
        settle(session, workers[0])
        assert workers[0].methods() == []
        assert retries(ref) == 0
        workers[0].die(session)
        assert not ref._entry.done(), "it was not sent again, so it needs no other retry"
        come_up(session, workers[1], link)
        assert workers[1].methods() == ["method"]

    def test_a_call_that_is_to_run_again_fails_with_a_dead_actor(self, session: Session, worker: PlayedWorker) -> None:
        link = create(session, worker, max_task_retries=1)
        ref = session.call(link, "method")
        settle(session, worker)
        call, connection = ref._entry.call, link._connection
        assert connection is not None
        connection.in_flight.calls.clear()  # as between the answer and the step
        worker.die(session)
        tell(session, messages.ActorDown(link.actor_id, "killed", "kill() was called.", "Actor", "", PID))
        link.retry(connection, object(), call)
        with pytest.raises(exceptions.ActorDiedError, match="kill"):
            session.get(ref)

    def test_a_stream_that_raises_such_an_exception_gives_each_value_once(
        self, session: Session, worker: PlayedWorker
    ) -> None:
        link = create(session, worker, max_task_retries=1)
        stream = session.call(link, "method", num_returns=STREAMING)
        settle(session, worker)
        call = worker.take(messages.Call)
        worker.yields(call, 1, "a")
        assert session.get(next(stream)) == "a"
        worker.raises(call, KeyError("again"), retriable=True)
        settle(session, worker)
        again = worker.take(messages.Call)
        for index, value in enumerate("ab", start=1):
            worker.yields(again, index, value)
        worker.reply(again)
        assert [session.get(ref) for ref in stream] == ["b"]
