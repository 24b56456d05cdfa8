"""The limits on requests of a session, checked in the user's options and again when the node decodes them."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import msgspec
import pytest
from chaos import Chaos, kinds_of_messages
from node_scenario import ENVIRONMENT, Client, Scenario

from nbactors import limits
from nbactors.local.node.rules import events
from nbactors.local.wire import failures, framing, messages
from nbactors.options import ActorOptions, InitOptions, TaskOptions

FINE = 0.5
"""In seconds: every event must be handled faster, whatever the message."""


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_gpus": 10**9}, "num_gpus of a session cannot be more than 1024. Got: 1000000000"),
        ({"num_cpus": 10**20}, r"resource num_cpus cannot be more than 1e\+15. Got: 1e\+20"),
        ({"num_cpus": 10**400}, "Got: a number of more than 300 digits"),
        ({"memory": 1e300}, "resource memory cannot be more than"),
        ({"resources": {"a": 1e16}}, "resource a cannot be more than"),
        ({"resources": {"a" * 5000: 1}}, "at most 4096 characters. Got: 5000"),
        ({"resources": {f"r{i}": 1 for i in range(1001)}}, "at most 1000 resources. Got: 1001"),
        ({"graceful_shutdown_s": 1e9}, r"cannot be more than 604800 \(a week\)"),
        ({"namespace": "n" * 5000}, "'namespace' must have at most 4096 characters"),
        ({"runtime_env": {"env_vars": {"A": "b" * (1 << 20)}}}, "at most 1048576 characters in all. Got: 1048577"),
    ],
)
def test_session_options_above_the_limits_raise(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InitOptions.parse(keywords)


def test_options_of_actors_and_tasks_above_the_limits_raise() -> None:
    with pytest.raises(ValueError, match="resource num_gpus cannot be more than"):
        ActorOptions.parse({"num_gpus": 10**16})
    with pytest.raises(ValueError, match="'name' must have at most 4096 characters"):
        ActorOptions.parse({"name": "n" * 5000})
    with pytest.raises(ValueError, match="'max_concurrency' must be at most 2147483647"):
        ActorOptions.parse({"max_concurrency": 2**31})
    with pytest.raises(ValueError, match="concurrency group 'io' must be at most"):
        ActorOptions.parse({"concurrency_groups": {"io": 2**31}})
    with pytest.raises(ValueError, match="'max_retries' must be at most"):
        TaskOptions.parse({"max_retries": 2**70})
    with pytest.raises(ValueError, match="_generator_backpressure_num_objects must be at most"):
        TaskOptions.parse({"_generator_backpressure_num_objects": 2**70})


def decoded(message: messages.Message) -> messages.Control:
    codec = framing.control_codec()
    (same,) = codec.decode(codec.encode([message])[framing.HEADER :])  # type: ignore[list-item]
    return same


@pytest.mark.parametrize(
    "changes",
    [
        {"num_gpus": 10.0**9},
        {"num_gpus": math.nan},
        {"num_cpus": math.inf},
        {"num_cpus": -2.0},
        {"memory": 1e300},
        {"graceful_shutdown_s": math.nan},
        {"graceful_shutdown_s": 1e308},
        {"graceful_shutdown_s": -1.0},
        {"resources": {"a": math.nan}},
        {"resources": {"a": -1.0}},
        {"resources": {str(i): 1.0 for i in range(2000)}},
        {"namespace": "n" * 5000},
        {"rid": -1},
    ],
)
def test_the_node_does_not_decode_values_above_the_limits(changes: dict[str, Any]) -> None:
    good = messages.OpenSession(1, "n", ENVIRONMENT, 1.0, 0.0, -1.0, -1.0, {}, True, 30.0)
    assert decoded(good) == good
    with pytest.raises(framing.FrameError, match="malformed frame: Expected"):
        decoded(msgspec.structs.replace(good, **changes))


def test_a_frame_holds_a_bounded_number_of_messages() -> None:
    batch: list[messages.Control] = [messages.Blocked()] * (framing.MAX_CONTROL_BATCH + 1)
    body = msgspec.msgpack.encode(batch)
    with pytest.raises(framing.FrameError, match="malformed frame"):
        framing.control_codec().decode(body)
    codec = framing.control_codec()
    frames = list(framing.FrameBuffer(codec.limit).feed(codec.encode(batch)))
    assert sum(len(codec.decode(frame)) for frame in frames) == len(batch)


def test_the_number_of_kinds_of_waiting_requests_is_bounded() -> None:
    """Each kind takes time whenever the queue is examined, which is at each event of any session."""
    scenario = Scenario()
    session, other = scenario.session(), scenario.session()
    for number in range(limits.MAX_KINDS):
        session.request_lease({f"r{number}": 1.0})
    assert session.got(messages.Refused) == []
    session.request_lease({"one too many": 1.0})
    assert "1000 different amounts of resources wait already" in session.one(messages.Refused).text
    session.request_lease({"r0": 1.0})
    assert session.got(messages.Refused) == []
    session.create(placement={"another": 1.0})
    error = failures.decode(failures.actor_died(session.one(messages.ActorDown)))
    assert "is dead: it was not created: requests for 1000 different amounts of resources wait" in str(error)
    other.request_lease({"one too many": 1.0})
    assert other.got(messages.Refused) == []


def test_a_second_request_with_an_open_number_is_refused() -> None:
    scenario = Scenario()
    session = scenario.session()
    rid = session.request_lease({"nothing": 1.0})
    session.send(messages.RequestLease(rid, {"nothing": 2.0}, None, "f", [], b""))
    assert "is open already" in session.one(messages.Refused).text


def test_a_request_that_comes_twice_is_one_request() -> None:
    scenario = Scenario()
    session = scenario.session()
    rid = session.request_lease()
    session.send(messages.RequestLease(rid, {"CPU": 1.0}, None, "f", [], b""))
    scenario.start_worker()
    assert session.one(messages.LeaseGranted).rid == rid
    assert session.got(messages.Refused) == []


# ---------------------------------------------------------------------------------------------------------- any values


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_no_message_with_any_values_harms_another_session(seed: int) -> None:
    """A message that decodes is handled quickly and without an error, and a second session is served as before."""
    scenario = Scenario(gpus=2)
    innocent = scenario.session()
    kept, _ = innocent.create_alive()
    chaos = Chaos(seed, known=[])
    senders: list[Client] = []
    kinds = kinds_of_messages()
    passed: set[type] = set()
    for number in itertools.count():
        if number == 1500:
            break
        if not senders or any(
            close.conn in [sender.conn for sender in senders] for close in scenario.take(events.Close)
        ):
            for sender in senders:
                sender.leave()
            first = scenario.session()
            actor_id, worker = first.create_alive()
            senders = [first, worker]
            chaos.known = [actor_id, first.process_id, worker.process_id]
        scenario.done.clear()
        try:
            message = decoded(chaos.message(chaos.random.choice(kinds)))
        except (framing.FrameError, OverflowError):
            continue
        passed.add(type(message))
        start = time.monotonic()
        chaos.random.choice(senders).send(message)
        assert time.monotonic() - start < FINE, message
        scenario.done = [done for done in scenario.done if isinstance(done, events.Close)]
        scenario.pass_time(chaos.random.choice([0.0, 0.01, 1.0]))
    scenario.done.clear()
    assert len(passed) > 30
    (row,) = [row for row in innocent.ask("actors").actors if row.actor_id == kept]
    assert row.state == "ALIVE"
    assert innocent.ask("available_resources").amounts["CPU"] > 0
