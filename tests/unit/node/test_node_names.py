"""Actors' names, as the node gives and frees them."""

from __future__ import annotations

from node_scenario import Client, Scenario

from nbactors.local.wire import messages


class TestNames:
    def named(self, client: Client, **options: object) -> bytes:
        return client.create(**{"rid": 1, "name": "n", **options})

    def test_a_duplicate_name_is_refused_with_the_text_of_ray(self, node: Scenario) -> None:
        session = node.session()
        self.named(session)
        assert session.one(messages.ActorNamed).created
        self.named(session)
        refused = session.one(messages.Refused)
        assert refused.kind == "taken"
        assert "The name n (namespace=ns) is already taken. Please use a different name or get" in refused.text

    def test_actors_in_two_namespaces_may_have_the_same_name(self, node: Scenario) -> None:
        session = node.session()
        self.named(session)
        self.named(session, namespace="other")
        assert [named.created for named in session.got(messages.ActorNamed)] == [True, True]

    def test_twenty_requests_with_get_if_exists_get_one_actor(self, node: Scenario) -> None:
        everybody = [node.session() for _ in range(20)]
        for session in everybody:
            self.named(session, get_if_exists=True)
        answers = [session.one(messages.ActorNamed) for session in everybody]
        assert [answer.created for answer in answers] == [True] + [False] * 19
        assert len({answer.actor_id for answer in answers}) == 1
        assert answers[1].meta == b"meta"
        node.start_worker()
        assert all(len(session.got(messages.ActorUp)) == 1 for session in everybody)

    def test_a_named_actor_is_found_once_created_and_the_finder_holds_it(self, node: Scenario) -> None:
        first, second = node.session(), node.session()
        actor_id = self.named(first)
        second.send(messages.GetActor(7, "n", ""))
        assert second.one(messages.ActorNamed) == messages.ActorNamed(7, actor_id, False, b"meta")
        first.send(messages.ReleaseHold(actor_id, 1))
        assert first.states() == ["PENDING_CREATION"]
        second.send(messages.ReleaseHold(actor_id, 1))
        assert first.states() == ["DEAD"]

    def test_an_unknown_name_is_refused_with_the_text_of_ray(self, node: Scenario) -> None:
        session = node.session()
        session.send(messages.GetActor(7, "nobody", ""))
        refused = session.one(messages.Refused)
        assert (refused.rid, refused.kind) == (7, "value")
        assert refused.text.startswith("Failed to look up actor with name 'nobody'.")

    def test_a_lost_connection_frees_the_name_before_the_cause_is_known(self, node: Scenario) -> None:
        session = node.session()
        self.named(session)
        session.got(messages.ActorNamed)
        worker = node.start_worker()
        worker.leave()
        assert session.got(messages.ActorDown) == []
        session.send(messages.GetActor(7, "n", ""))
        assert session.one(messages.Refused).rid == 7
        self.named(session)
        assert session.one(messages.ActorNamed).created

    def test_named_actors_are_listed_by_namespace(self, node: Scenario) -> None:
        session = node.session()
        self.named(session, name="a")
        self.named(session, name="b", namespace="other")
        assert [row.name for row in session.ask("named_actors").actors] == ["a"]
        session.send(messages.Query(1, "named_actors", True))
        rows = session.one(messages.Listing).actors
        assert [(row.namespace, row.name) for row in rows] == [("ns", "a"), ("other", "b")]
