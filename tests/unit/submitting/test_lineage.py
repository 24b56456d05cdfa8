"""Results that are lost on their way to the owner: their calls run again as long as they have a retry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from members import Session, settle
from played_worker import PlayedWorker

from nbactors import exceptions
from nbactors.definitions.metadata import DYNAMIC, STREAMING
from nbactors.local.submitting import lineage
from nbactors.local.wire import failures, messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.options import TaskOptions
from nbactors.pickling import pickling

LOST = messages.Value(failures.encode_loss(exceptions.RaySystemError("the value is lost: no descriptor")), error=True)
"""What the owner makes of a value whose descriptor has not come; a worker sends the same for a dropped answer."""

NO_RETRY = (
    r"(?s)cannot be reconstructed\.\nThe value is lost: no descriptor\. The call that makes the value has run; "
    "it is not run again, since it has no retry left"
)


def work() -> None:
    """A task that never runs: the test answers for it."""


Start = Callable[..., Any]


@pytest.fixture(params=["task", "actor"])
def start(request: pytest.FixtureRequest, session: Session, worker: PlayedWorker) -> Start:
    """Start a call with a number of retries, which the worker gets at once."""
    link = worker.become_actor(session, max_task_retries=0) if request.param == "actor" else None

    def start(retries: int, num_returns: int = 1, backpressure: int = 0) -> Any:
        if link is not None:
            link._max_retries = retries
            made = session.call(link, "method", num_returns=num_returns, backpressure=backpressure)
            settle(session, worker)
        else:
            options = TaskOptions(max_retries=retries, num_returns=num_returns, backpressure=backpressure)
            made = session.submit(work, options=options)
            worker.grant(session)
        return made

    return start


def take(worker: PlayedWorker) -> Any:
    """Take the call, or task, that the worker has got."""
    kinds = [type(message) for message in worker.got]
    return worker.take(messages.Run if messages.Run in kinds else messages.Call)


def answer(session: Session, worker: PlayedWorker, call: Any, *values: Any) -> None:
    """Answer with values, of which some may be lost."""
    packed = [
        value if isinstance(value, messages.Value) else messages.Value(pickling.dumps(value).data) for value in values
    ]
    worker.caller.send_now(messages.Results(call.number, packed))
    settle(session, worker)


def yields(session: Session, worker: PlayedWorker, call: Any, index: int, value: Any) -> None:
    """Send a value of a generator, which may be lost."""
    if isinstance(value, messages.Value):
        worker.caller.send_now(messages.Yielded(call.number, index, b"", value))
    else:
        worker.yields(call, index, value)
    settle(session, worker)


def is_stopped(worker: PlayedWorker) -> bool:
    """Whether the worker was told to stop the generator, and forget it."""
    stops = [message for message in worker.got if type(message) is messages.StopStream]
    worker.got = [message for message in worker.got if message not in stops]
    return bool(stops)


def get_all(session: Session, refs: list[ObjectRef[Any]]) -> list[Any]:
    return [session.get(ref) for ref in refs]


def gets_nothing(worker: PlayedWorker) -> bool:
    return not {messages.Run, messages.Call} & {type(message) for message in worker.got}


# -------------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize("is_cancelled", [False, True])
@pytest.mark.parametrize("has_retry", [False, True])
def test_the_table_names_every_case(is_cancelled: bool, has_retry: bool) -> None:
    runs = lineage.TABLE[is_cancelled, has_retry] == lineage.RUNS
    assert runs == (has_retry and not is_cancelled)


def test_a_call_whose_result_was_lost_runs_again(session: Session, worker: PlayedWorker, start: Start) -> None:
    ref = start(1)
    answer(session, worker, take(worker), LOST)
    assert not ref._entry.done()
    answer(session, worker, take(worker), "computed again")
    assert session.get(ref) == "computed again"


def test_each_lost_result_costs_one_retry(session: Session, worker: PlayedWorker, start: Start) -> None:
    ref = start(2)
    for _ in range(3):
        answer(session, worker, take(worker), LOST)
    assert gets_nothing(worker)
    with pytest.raises(exceptions.ObjectReconstructionFailedError, match=NO_RETRY) as raised:
        session.get(ref)
    assert raised.value.object_ref_hex == ref.hex()
    assert raised.value.owner_address == session.process_id


def test_lost_results_and_crashes_share_one_budget(session: Session, workers: list[PlayedWorker]) -> None:
    ref = session.submit(work, options=TaskOptions(max_retries=2))
    workers[0].grant(session)
    answer(session, workers[0], take(workers[0]), LOST)
    take(workers[0])
    workers[0].die(session)
    session.node_end.tell(messages.LeaseLost(1, workers[0].process_id, "it was killed."))
    settle(session)
    workers[1].grant(session, 2)
    answer(session, workers[1], take(workers[1]), LOST)
    with pytest.raises(exceptions.ObjectReconstructionFailedError, match=NO_RETRY):
        session.get(ref)


def test_a_call_without_a_retry_does_not_run_again(session: Session, worker: PlayedWorker, start: Start) -> None:
    ref = start(0)
    answer(session, worker, take(worker), LOST)
    assert gets_nothing(worker)
    with pytest.raises(exceptions.ObjectReconstructionFailedError, match=NO_RETRY):
        session.get(ref)


def test_retries_without_end(session: Session, worker: PlayedWorker, start: Start) -> None:
    ref = start(-1)
    for _ in range(5):
        answer(session, worker, take(worker), LOST)
    answer(session, worker, take(worker), "at last")
    assert session.get(ref) == "at last"


def test_a_cancelled_call_does_not_run_again(session: Session, worker: PlayedWorker, start: Start) -> None:
    ref = start(3)
    call = take(worker)
    ref._entry.call.cancel(CancelMode.CANCEL, True)
    answer(session, worker, call, LOST)
    assert gets_nothing(worker)
    with pytest.raises(exceptions.ObjectReconstructionFailedError, match="not run again, since it was cancelled"):
        session.get(ref)


def test_results_that_have_arrived_stay(session: Session, worker: PlayedWorker, start: Start) -> None:
    first, second, third = start(1, num_returns=3)
    answer(session, worker, take(worker), "first", LOST, LOST)
    assert session.get(first) == "first"
    assert not second._entry.done()
    answer(session, worker, take(worker), "other", "second", LOST)
    assert get_all(session, [first, second]) == ["first", "second"]
    with pytest.raises(exceptions.ObjectReconstructionFailedError, match=third.hex()):
        session.get(third)


def test_an_error_of_the_second_run_goes_to_the_lost_results(
    session: Session, worker: PlayedWorker, start: Start
) -> None:
    first, second = start(1, num_returns=2)
    answer(session, worker, take(worker), "first", LOST)
    worker.raises(take(worker), KeyError("second run"))
    settle(session, worker)
    assert session.get(first) == "first"
    with pytest.raises(KeyError, match="second run"):
        session.get(second)


def test_an_answer_that_the_worker_has_dropped_is_lost_for_all_results(
    session: Session, worker: PlayedWorker, start: Start
) -> None:
    refs = start(1, num_returns=2)
    answer(session, worker, take(worker), LOST)
    answer(session, worker, take(worker), "first", "second")
    assert get_all(session, refs) == ["first", "second"]


def test_the_arguments_of_a_lost_result_are_kept(session: Session, workers: list[PlayedWorker]) -> None:
    worker = workers[0]
    argument = session.put("kept")
    ref = session.submit(work, argument)
    del argument
    worker.grant(session)
    for _ in range(2):
        call = take(worker)
        ((_, value),) = call.deps
        assert pickling.loads(value.data) == "kept"
        answer(session, worker, call, LOST)
    assert not ref._entry.done()


def test_dependents_wait_for_the_second_run(session: Session, workers: list[PlayedWorker]) -> None:
    ref = session.submit(work)
    dependent = session.submit(work, ref)
    workers[0].grant(session)
    answer(session, workers[0], take(workers[0]), LOST)
    assert [call.number for call in session.tasks.queued()] == [dependent._entry.number]
    answer(session, workers[0], take(workers[0]), "argument")
    ((_, value),) = take(workers[0]).deps
    assert pickling.loads(value.data) == "argument"


# ---------------------------------------------------------------------------------------------------------- generators


def test_a_generator_runs_again_for_a_lost_value(session: Session, worker: PlayedWorker, start: Start) -> None:
    stream = start(1, num_returns=STREAMING)
    call = take(worker)
    yields(session, worker, call, 1, "first")
    yields(session, worker, call, 2, LOST)
    first, second = next(stream), next(stream)
    assert is_stopped(worker), "a reader that waits for the lost value takes no other, so the generator may be paused"
    assert not second._entry.done()
    yields(session, worker, call, 3, "third")
    worker.reply(call)
    settle(session, worker)
    again = take(worker)
    for index, value in enumerate(["other", "second", "another", "fourth"], 1):
        yields(session, worker, again, index, value)
    worker.reply(again)
    settle(session, worker)
    assert get_all(session, [first, second]) == ["first", "second"]
    assert [session.get(ref) for ref in stream] == ["third", "fourth"]
    assert not is_stopped(worker)


def test_without_a_retry_a_lost_value_fails_alone(session: Session, worker: PlayedWorker, start: Start) -> None:
    stream = start(0, num_returns=STREAMING)
    call = take(worker)
    for index, value in enumerate([LOST, "second"], 1):
        yields(session, worker, call, index, value)
    worker.reply(call)
    settle(session, worker)
    lost, second = stream
    assert session.get(second) == "second"
    assert not is_stopped(worker)
    with pytest.raises(exceptions.ObjectReconstructionFailedError, match=NO_RETRY) as raised:
        session.get(lost)
    assert raised.value.object_ref_hex == lost.hex()


def test_a_value_that_is_lost_in_each_run(session: Session, worker: PlayedWorker, start: Start) -> None:
    stream = start(1, num_returns=STREAMING)
    for _ in range(2):
        call = take(worker)
        yields(session, worker, call, 1, LOST)
        worker.reply(call)
        settle(session, worker)
    (lost,) = stream
    with pytest.raises(exceptions.ObjectReconstructionFailedError, match=NO_RETRY):
        session.get(lost)


def test_a_generator_that_ends_earlier_in_the_second_run(session: Session, worker: PlayedWorker, start: Start) -> None:
    stream = start(1, num_returns=STREAMING)
    call = take(worker)
    yields(session, worker, call, 1, "first")
    yields(session, worker, call, 2, LOST)
    worker.reply(call)
    settle(session, worker)
    worker.reply(take(worker))
    settle(session, worker)
    first, second = stream
    assert session.get(first) == "first"
    with pytest.raises(exceptions.StreamingGeneratorReplayInconsistentError, match="yielded 2 values before"):
        session.get(second)


def test_a_generator_that_raises_in_the_second_run(session: Session, worker: PlayedWorker, start: Start) -> None:
    stream = start(1, num_returns=STREAMING)
    call = take(worker)
    yields(session, worker, call, 1, LOST)
    worker.reply(call)
    settle(session, worker)
    worker.raises(take(worker), KeyError("second run"))
    settle(session, worker)
    for ref in stream:
        with pytest.raises(KeyError, match="second run"):
            session.get(ref)


def test_a_lost_value_is_computed_again_though_its_generator_is_freed(
    session: Session, worker: PlayedWorker, start: Start
) -> None:
    stream = start(1, num_returns=STREAMING)
    call = take(worker)
    yields(session, worker, call, 1, LOST)
    ref = next(stream)
    del stream
    worker.reply(call)
    settle(session, worker)
    is_stopped(worker)
    again = take(worker)
    assert not is_stopped(worker)
    yields(session, worker, again, 1, "first")
    assert is_stopped(worker), "nobody reads further values"
    assert session.get(ref) == "first"


@pytest.mark.parametrize("way", ["free", "close"])
def test_a_lost_value_that_nobody_has_read_is_not_computed_again(
    session: Session, worker: PlayedWorker, start: Start, way: str
) -> None:
    stream = start(1, num_returns=STREAMING)
    call = take(worker)
    if way == "close":
        stream.close()
    else:
        yields(session, worker, call, 1, LOST)
        is_stopped(worker)
        del stream
    settle(session, worker)
    is_stopped(worker)
    yields(session, worker, call, 2, LOST)
    assert not is_stopped(worker)
    worker.reply(call)
    settle(session, worker)
    assert gets_nothing(worker)
    assert session.pending_calls() == []


def test_a_stream_that_was_stopped_for_a_lost_value_and_then_cancelled_does_not_look_whole(
    session: Session, worker: PlayedWorker, start: Start
) -> None:
    stream = start(1, num_returns=STREAMING)
    call = take(worker)
    yields(session, worker, call, 1, LOST)
    stream.completed()._entry.call.cancel(CancelMode.CANCEL, True)
    worker.reply(call)
    settle(session, worker)
    assert gets_nothing(worker)
    refs = list(stream)
    assert len(refs) == 2
    for ref in refs:
        with pytest.raises(exceptions.ObjectReconstructionFailedError, match="it was cancelled"):
            session.get(ref)


def test_a_worker_that_dies_in_the_second_run_fails_the_lost_value(
    session: Session, workers: list[PlayedWorker]
) -> None:
    stream = session.submit(work, options=TaskOptions(max_retries=1, num_returns=STREAMING))
    worker = workers[0]
    worker.grant(session)
    call = take(worker)
    yields(session, worker, call, 1, LOST)
    worker.reply(call)
    settle(session, worker)
    worker.die(session)
    session.node_end.tell(messages.LeaseLost(1, worker.process_id, "it was killed."))
    settle(session)
    for ref in stream:
        with pytest.raises(exceptions.WorkerCrashedError, match="it was killed"):
            session.get(ref)


def test_a_lost_value_of_a_collected_generator(session: Session, worker: PlayedWorker, start: Start) -> None:
    ref = start(1, num_returns=DYNAMIC)
    for values in [["first", LOST], ["first", "second"]]:
        call = take(worker)
        for index, value in enumerate(values, 1):
            yields(session, worker, call, index, value)
        worker.reply(call)
        settle(session, worker)
    refs: list[ObjectRef[Any]] = list(session.get(ref))
    assert get_all(session, refs) == ["first", "second"]


# --------------------------------------------------------------------------------- answers lost with their connection


def test_calls_whose_answers_are_lost_with_a_connection_run_again_in_order(
    session: Session, worker: PlayedWorker
) -> None:
    link = worker.become_actor(session, max_task_retries=1)
    methods = ["first", "second", "third"]
    refs = [session.call(link, method) for method in methods]
    settle(session, worker)
    assert worker.methods() == methods
    worker.got.clear()
    (connection,) = session.peers.outgoing()
    for _ in range(2):
        connection.close("too many answers")
        settle(session, worker)
        connection = session.peers.outgoing()[0]
    assert worker.methods() == methods, "once more, and then no retry is left"
    for ref in refs:
        with pytest.raises(exceptions.RaySystemError, match=r"too many answers.*The call may have run"):
            session.get(ref)
