"""`definitions.serializers`: what follows the user's serializers is told of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nbactors.definitions import serializers
from nbactors.definitions.serializers import Serializer

Told = list[tuple[type, Serializer | None]]


class Kind: ...


@pytest.fixture
def told() -> Iterator[Told]:
    told: Told = []

    def follow(kind: type, made: Serializer | None) -> None:
        told.append((kind, made))

    serializers.register(Kind, repr, str)
    serializers.follow(follow)
    yield told
    serializers.unfollow(follow)
    serializers.deregister(Kind)


def test_a_follower_is_told_of_what_is_registered_already(told: Told) -> None:
    assert (Kind, Serializer(repr, str)) in told


def test_a_follower_is_told_of_changes(told: Told) -> None:
    serializers.register(Kind, str, repr)
    serializers.deregister(Kind)
    assert told[-2:] == [(Kind, Serializer(str, repr)), (Kind, None)]


def test_nothing_is_told_where_nothing_was_registered(told: Told) -> None:
    before = list(told)
    serializers.deregister(Serializer)
    assert told == before
