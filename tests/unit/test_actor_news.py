"""News of an actor that come before this process has a link for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from nbactors.local.client.actors import Actors
from nbactors.local.wire import messages


class Peers:
    """Connects to nobody, and notes to whom it was to."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def connect(self, process_id: bytes) -> None:
        self.asked.append(process_id)


def raise_again(error: BaseException, action: object) -> None:
    raise error


def test_a_named_actor_may_be_up_before_its_link_is_made() -> None:
    peers = Peers()
    reactor = SimpleNamespace(call_later=lambda *_: None, discard=lambda *_: None, blame=raise_again)
    process: Any = SimpleNamespace(peers=peers, reactor=reactor, node=SimpleNamespace(lost=""), closed=True)
    actors = process.actors = Actors(process)
    actors.on_news(messages.ActorUp(b"a" * 16, b"p" * 16, 1))
    actors.create(b"a" * 16)
    assert peers.asked == [b"p" * 16]
