"""`cluster.common.pieces`: how waits inside of Ray's code are divided."""

from __future__ import annotations

import threading

import pytest

from nbactors.cluster.common.pieces import SLICE_S, VISIT_S, Pieces, Visits


def lengths(pieces: Pieces, timeout: float | None, count: int, is_divided: bool = False) -> list[float | None]:
    """The first pieces of a wait."""
    with pieces.of(timeout, is_divided) as found:
        return [length for length, _ in zip(found, range(count), strict=False)]


@pytest.fixture
def whole() -> Pieces:
    return Pieces(lambda: False)


@pytest.fixture
def visited(whole: Pieces) -> Pieces:
    whole.visits = Visits()
    return whole


def test_a_wait_is_one_piece(whole: Pieces) -> None:
    assert lengths(whole, None, 9) == [None]
    assert lengths(whole, 30.0, 9) == [pytest.approx(30.0, abs=1.0)]


def test_a_wait_without_time_is_one_piece(whole: Pieces) -> None:
    assert lengths(whole, 0.0, 9, is_divided=True) == [0.0]


def test_a_divided_wait_without_end_goes_on(whole: Pieces) -> None:
    assert lengths(whole, None, 3, is_divided=True) == [SLICE_S] * 3
    assert lengths(Pieces(lambda: True), None, 3) == [SLICE_S] * 3


def test_the_last_piece_ends_with_the_wait(whole: Pieces) -> None:
    with whole.of(0.01, is_divided=True) as pieces:
        found = [length for length in pieces if length is None or not threading.Event().wait(length)]
    assert found
    assert max(length for length in found if length is not None) <= 0.01


def test_what_the_main_thread_is_asked_to_call_is_called_between_pieces(visited: Pieces) -> None:
    assert visited.visits is not None
    called: list[int] = []
    with visited.of(None) as pieces:
        assert next(pieces) == VISIT_S
        assert visited.visits.ask(lambda: called.append(1))
        assert not called
        assert next(pieces) == VISIT_S
        assert called == [1]


def test_what_comes_last_is_called_at_the_end_of_the_wait(visited: Pieces) -> None:
    assert visited.visits is not None
    called: list[int] = []
    with visited.of(None) as pieces:
        next(pieces)
        visited.visits.ask(lambda: called.append(1))
    assert called == [1]


def test_nothing_is_asked_where_nobody_waits(visited: Pieces) -> None:
    assert visited.visits is not None
    assert not visited.visits.ask(lambda: None)
    with visited.of(None):
        assert visited.visits.ask(lambda: None)
    assert not visited.visits.ask(lambda: None)


def test_a_wait_within_what_is_called_is_a_wait_too(visited: Pieces) -> None:
    visits = visited.visits
    assert visits is not None
    asked: list[bool] = []

    def wait() -> None:
        with visited.of(None) as inner:
            next(inner)
        asked.append(visits.ask(lambda: None))

    with visited.of(None) as pieces:
        next(pieces)
        visits.ask(wait)
        next(pieces)
    assert asked == [True]


def test_other_threads_are_not_asked(visited: Pieces) -> None:
    found: list[list[float | None]] = []
    thread = threading.Thread(target=lambda: found.append(lengths(visited, None, 9)))
    thread.start()
    thread.join(30)
    assert found == [[None]]
