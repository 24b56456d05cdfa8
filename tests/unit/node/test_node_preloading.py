"""Forkservers with preloaded modules, as the node gives workers to them."""

from __future__ import annotations

import msgspec
from node_scenario import ENVIRONMENT, Scenario, create_actor

from nbactors.local.node.rules import events
from nbactors.local.wire import messages

NUMPY = msgspec.structs.replace(ENVIRONMENT, preload=["numpy"])
RUNTIME_ENV = messages.RuntimeEnv({}, b"/elsewhere", [], b"", b"")


def test_sessions_with_equal_modules_share_a_forkserver(node: Scenario) -> None:
    for environment in (NUMPY, ENVIRONMENT, NUMPY, msgspec.structs.replace(ENVIRONMENT, preload=["torch"])):
        node.session(environment=environment)
    opened = node.take(events.OpenForkserver)
    assert [one.facts.preload for one in opened] == [["numpy"], [], ["numpy"], ["torch"]]
    assert opened[0].environment == opened[2].environment
    assert len({one.environment for one in opened}) == 3


def test_a_worker_with_a_runtime_env_comes_from_the_forkserver_without_modules(node: Scenario) -> None:
    session = node.session(environment=NUMPY)
    for env in (None, RUNTIME_ENV):
        session.send(create_actor(rid=node.rid(), actor_id=node.new_id(), runtime_env=env))
    node.session()
    spawns = node.take(events.Spawn)
    assert [spawn.facts.preload for spawn in spawns] == [["numpy"], []]
    assert node.take(events.OpenForkserver)[-1].environment == spawns[1].environment


def test_both_forkservers_are_closed_after_the_session(node: Scenario) -> None:
    node.session(environment=messages.Environment(b"/p", [], [], b"/", {}))  # keeps the node
    session = node.session(environment=NUMPY)
    opened = node.take(events.OpenForkserver)[-1].environment
    session.leave()
    node.pass_time(1.0)
    closed = {one.environment for one in node.take(events.CloseForkserver)}
    assert len(closed) == 2
    assert opened in closed
    assert len(node.state._sessions.environments) == 1


def test_a_session_is_warned_once_of_modules_that_are_not_preloaded(node: Scenario) -> None:
    first, other = node.session(environment=NUMPY), node.session()
    number = node.take(events.OpenForkserver)[0].environment
    for _ in range(2):  # the second forkserver of the environment says the same
        node.happen(events.NotPreloaded(number, {"numpy": "it has started threads"}))
    text = first.one(messages.Warn).text
    assert "numpy (it has started threads)" in text
    assert not other.got(messages.Warn)
    later = node.session(environment=NUMPY)
    assert later.one(messages.Warn).text == text
