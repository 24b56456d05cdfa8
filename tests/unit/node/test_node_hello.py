"""Which clients the node accepts, and with which first message."""

from __future__ import annotations

import pytest
from node_scenario import Scenario

from nbactors.local.node.rules import events, state
from nbactors.local.wire import messages


class TestHello:
    def test_a_client_of_another_version_is_told_both_versions_and_the_remedy(self, node: Scenario) -> None:
        conn = node.connect()
        node.happen(events.Received(conn, messages.Hello(99, b"p" * 16, 5, "session", "9.9")))
        (send,) = node.take(events.Send)
        assert isinstance(send.message, messages.Refused)
        assert (send.message.rid, send.message.kind) == (0, "version")
        for part in ("nbactors 1.2.3", "nbactors 9.9", "protocol 99", "`nbactors stop`", "Restart"):
            assert part in send.message.text
        assert node.take(events.Close) == [events.Close(conn)]

    @pytest.mark.parametrize(
        ("process_id", "role"), [(b"", "session"), (b"x" * 16, "stranger"), (b"x" * 16, "worker"), (b"x" * 3, "peer")]
    )
    def test_a_hello_with_a_wrong_role_or_id_is_refused(self, node: Scenario, process_id: bytes, role: str) -> None:
        conn = node.connect()
        node.happen(events.Received(conn, messages.Hello(messages.PROTOCOL_VERSION, process_id, 5, role, "1")))
        assert node.take(events.Close) == [events.Close(conn)]

    def test_a_second_session_with_the_same_process_id_is_refused(self, node: Scenario) -> None:
        session = node.session()
        conn = node.connect()
        hello = messages.Hello(messages.PROTOCOL_VERSION, session.process_id, 5, "session", "1")
        node.happen(events.Received(conn, hello))
        assert node.take(events.Close) == [events.Close(conn)]

    def test_a_connection_that_does_not_begin_with_hello_is_closed(self, node: Scenario) -> None:
        conn = node.connect()
        node.happen(events.Received(conn, messages.Query(1, "status")))
        assert node.take(events.Close) == [events.Close(conn)]

    def test_a_connection_without_a_hello_is_closed_after_a_while(self, node: Scenario) -> None:
        node.session()
        conn = node.connect()
        node.pass_time(state.HELLO_WITHIN_S)
        assert node.take(events.Close) == [events.Close(conn)]

    @pytest.mark.parametrize(
        "message", [messages.Blocked(), messages.Welcome(1, b"", 1, ""), messages.Ending("exit", "")]
    )
    def test_a_message_that_the_role_may_not_send_closes_the_connection(
        self, node: Scenario, message: messages.Message
    ) -> None:
        session = node.session()
        session.send(message)
        assert node.take(events.Close) == [events.Close(session.conn)]
