"""`cluster.observing.open_bars`: which bars end with their workers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nbactors.cluster.observing import open_bars
from nbactors.cluster.observing.open_bars import OpenBars
from nbactors.frontend.bar import BarState


class Scene:
    """The bars of a session, and what is known of its workers."""

    def __init__(self) -> None:
        self.shown: list[BarState] = []
        self.ended: set[str] = set()
        self.asked: list[str] = []
        self.while_asked: Callable[[], object] = lambda: None
        self.bars = OpenBars(self.shown.append, self._has_ended)

    def _has_ended(self, worker: str) -> bool:
        self.asked.append(worker)
        self.while_asked()
        return worker in self.ended


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(open_bars, "later", lambda seconds, look: None)
    monkeypatch.setattr(open_bars, "LOOK_S", 0.0)
    return Scene()


def test_what_a_worker_reports_is_shown(scene: Scene) -> None:
    states = [BarState(1, "a", "x", n=1), BarState(1, "a", "x", n=2, closed=True)]
    for state in states:
        scene.bars.take(state)
    assert scene.shown == states


def test_the_open_bars_of_a_worker_that_has_ended_fail(scene: Scene) -> None:
    scene.bars.take(BarState(1, "a", "x", n=1, leave=False))
    scene.bars.take(BarState(1, "b", "x", n=2))
    scene.ended.add("a")
    scene.bars.look()
    (failed,) = [state for state in scene.shown if state.closed]
    assert (failed.source, failed.n, failed.leave, failed.failed) == ("a", 1, True, "its process has ended")
    scene.bars.look()
    assert len([state for state in scene.shown if state.closed]) == 1


def test_nobody_is_asked_about_bars_that_have_ended(scene: Scene) -> None:
    scene.bars.take(BarState(1, "a", "x"))
    scene.bars.take(BarState(1, "a", "x", closed=True))
    scene.bars.look()
    assert scene.asked == []


def test_nobody_is_asked_about_a_bar_that_was_just_heard_of(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_bars, "LOOK_S", 60.0)
    scene.bars.take(BarState(1, "a", "x"))
    scene.bars.look()
    assert scene.asked == []


def test_a_worker_is_asked_about_once_for_all_its_bars(scene: Scene) -> None:
    for bar in ("x", "y"):
        scene.bars.take(BarState(1, "a", bar))
    scene.bars.look()
    assert scene.asked == ["a"]


def test_a_bar_that_was_heard_of_while_ray_was_asked_goes_on(scene: Scene) -> None:
    scene.bars.take(BarState(1, "a", "x", n=1))
    scene.ended.add("a")
    scene.while_asked = lambda: scene.bars.take(BarState(1, "a", "x", n=2, closed=True))
    scene.bars.look()
    assert [(state.n, state.failed) for state in scene.shown] == [(1, ""), (2, "")]


def test_an_error_of_ray_is_no_end(scene: Scene) -> None:
    def fail() -> None:
        raise ConnectionError("no answer")

    scene.bars.take(BarState(1, "a", "x", n=1))
    scene.ended.add("a")
    scene.while_asked = fail
    scene.bars.look()
    assert len(scene.shown) == 1
    scene.while_asked = lambda: None
    scene.bars.look()
    assert scene.shown[-1].failed


def test_nobody_is_asked_after_the_end_of_the_session(scene: Scene) -> None:
    scene.bars.take(BarState(1, "a", "x"))
    scene.bars.close()
    scene.bars.look()
    assert scene.asked == []
