"""The node tells what object stores take: it asks the processes when a user asks the node."""

from __future__ import annotations

from node_scenario import Client, Scenario

from nbactors.local.node.rules.memory.lending import ANSWER_WITHIN_S
from nbactors.local.wire import messages

Row = tuple[str, int, int, int, int]


def store(client: Client) -> Client:
    """Have a process ask for its first room."""
    client.send(messages.AskRoom(0, 10))
    client.got(messages.Room)
    return client


def tell(client: Client, held: int, spilled: int) -> None:
    """Answer the node's question."""
    client.send(messages.StoreUse(client.one(messages.AskUse).number, held, spilled))


def rows(listing: messages.Listing) -> list[Row]:
    return [(row.namespace, row.held, row.spilled, row.limit, row.silent) for row in listing.stores]


def query(client: Client, what: str) -> None:
    client.send(messages.Query(client.scenario.rid(), what))


def test_without_object_stores_the_answer_comes_at_once(node: Scenario) -> None:
    node.session()
    assert rows(node.command_line().ask("status")) == [("", 0, 0, 300, 0)]


def test_a_listing_waits_until_all_processes_have_told(node: Scenario) -> None:
    session = store(node.session())
    worker = store(session.create_alive()[1])
    other = node.session()
    user = node.command_line()
    query(user, "status")
    assert not other.got(messages.AskUse), "it has no object store"
    tell(session, 30, 4)
    assert not user.got(messages.Listing)
    tell(worker, 200, 1000)
    assert rows(user.one(messages.Listing)) == [("", 230, 1004, 300, 0)]
    node.pass_time(1.0)
    assert not user.got(messages.Listing), "it is answered once"


def test_a_session_with_a_limit_of_its_own_has_a_row(node: Scenario) -> None:
    plain = store(node.session())
    named = store(node.session(object_store_memory=100.0, namespace="shop"))
    worker = store(named.create_alive()[1])
    user = node.command_line()
    query(user, "status")
    for number, client in enumerate((plain, named, worker)):
        tell(client, 10**number, 0)
    assert rows(user.one(messages.Listing)) == [("", 111, 0, 300, 0), ("shop", 110, 0, 100, 0)]
    query(plain, "object_store")
    for number, client in enumerate((plain, named, worker)):
        tell(client, 2 * 10**number, 0)
    assert rows(plain.one(messages.Listing)) == [("", 222, 0, 300, 0)], "a session sees no other one"


def test_a_process_that_does_not_answer_is_counted_with_its_last_figures(node: Scenario) -> None:
    session, stopped, user = store(node.session()), store(node.session()), node.command_line()
    query(user, "status")
    tell(session, 1, 0)
    tell(stopped, 20, 7)
    user.one(messages.Listing)
    query(user, "status")
    tell(session, 2, 0)
    node.pass_time(ANSWER_WITHIN_S)
    assert rows(user.one(messages.Listing)) == [("", 22, 7, 300, 1)]
    tell(stopped, 50, 0)
    assert not user.got(messages.Listing), "it comes too late"


def test_a_process_that_ends_meanwhile_is_not_waited_for(node: Scenario) -> None:
    session, leaving, user = store(node.session()), store(node.session()), node.command_line()
    query(user, "status")
    tell(session, 5, 0)
    leaving.leave()
    assert rows(user.one(messages.Listing)) == [("", 5, 0, 300, 0)]


def test_an_answer_to_no_question_changes_nothing(node: Scenario) -> None:
    session = node.session()
    session.send(messages.StoreUse(99, 5, 5))
    assert rows(node.command_line().ask("status")) == [("", 0, 0, 300, 0)]
