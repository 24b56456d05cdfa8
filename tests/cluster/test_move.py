"""`move`: from this machine to a cluster, with the state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


def diary_class() -> Any:
    """Return a class that travels by value: workers of the cluster have no path to the tests."""

    class Diary:
        def __init__(self, lines: list[str]) -> None:
            self.lines = list(lines)

        def write(self, line: str) -> list[str]:
            self.lines.append(line)
            return self.lines

        def __nbactors_save__(self) -> list[str]:
            return self.lines

        def __nbactors_restore__(self, state: list[str]) -> None:
            self.lines = state

    return Diary


def mute_class() -> Any:
    class Mute:
        def get(self) -> None:
            pass

    return Mute


@pytest.fixture
def local(fresh: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """nbactors, with a session on this machine."""
    monkeypatch.setenv("RAY_ADDRESS", "")
    fresh.init(engine="local", namespace="moved")
    return fresh


def test_named_actors_go_on_where_they_were(local: Any) -> None:
    diary = local.remote(diary_class()).options(name="diary").remote(["one"])
    other = local.remote(diary_class()).options(name="other", num_cpus=1).remote([])
    assert local.get([diary.write.remote("two"), other.write.remote("x")]) == [["one", "two"], ["x"]]
    moved = local.move("local", ["diary"])
    assert list(moved) == ["diary"]
    assert local.get(moved["diary"].write.remote("three"), timeout=60) == ["one", "two", "three"]
    assert local.get(local.get_actor("diary").write.remote("four"), timeout=60)[-1] == "four"
    assert "node:__internal_head__" in local.cluster_resources()


def test_what_cannot_move_changes_nothing(local: Any) -> None:
    mute = local.remote(mute_class()).options(name="mute").remote()
    diary = local.remote(diary_class()).options(name="diary").remote(["one"])
    with pytest.raises(TypeError, match="__nbactors_save__"):
        local.move("local")
    with pytest.raises(ValueError, match="no actor 'gone'"):
        local.move("local", ["gone"])
    with pytest.raises(ValueError, match="is no address"):
        local.move("nowhere", ["diary"])
    assert local.get([mute.get.remote(), diary.write.remote("two")]) == [None, ["one", "two"]]
