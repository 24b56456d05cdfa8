"""`definitions.registry`: what follows a registry is told of each entry."""

from __future__ import annotations

import pytest

from nbactors.definitions.registry import Registry

Told = list[tuple[str, int | None]]


@pytest.fixture
def registry() -> Registry[str, int]:
    made: Registry[str, int] = Registry()
    made.register("one", 1)
    return made


@pytest.fixture
def told(registry: Registry[str, int]) -> Told:
    told: Told = []
    registry.follow(lambda key, value: told.append((key, value)))
    return told


def test_a_follower_is_told_of_what_is_registered_already(told: Told) -> None:
    assert told == [("one", 1)]


def test_a_follower_is_told_of_changes(registry: Registry[str, int], told: Told) -> None:
    registry.register("two", 2)
    registry.deregister("two")
    assert told[1:] == [("two", 2), ("two", None)]


def test_nothing_is_told_where_nothing_was_registered(registry: Registry[str, int], told: Told) -> None:
    registry.deregister("other")
    assert told == [("one", 1)]


def test_who_follows_no_more_is_told_to_forget_and_hears_no_more(registry: Registry[str, int]) -> None:
    told: Told = []

    def follow(key: str, value: int | None) -> None:
        told.append((key, value))

    registry.follow(follow)
    registry.unfollow(follow)
    registry.register("two", 2)
    registry.unfollow(follow)
    assert told == [("one", 1), ("one", None)]
