"""How far a generator may run ahead."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nbactors.local.worker.producing import Production


def test_without_a_limit_it_never_pauses():
    production = Production(-1)
    for _ in range(1000):
        production.next_index()
    assert not production.must_pause


def test_a_limit_of_one_pauses_at_each_value():
    production = Production(1)
    assert not production.must_pause
    assert production.next_index() == 1
    assert production.must_pause
    production.read(1)
    assert not production.must_pause


def test_whoever_pauses_is_woken_by_a_reading_and_by_the_end():
    production = Production(1)
    production.next_index()
    woken: list[bool] = []
    production.pause(lambda: woken.append(production.must_pause))
    production.read(1)
    production.next_index()
    production.stop()
    assert woken == [False, False]


def test_one_that_is_stopped_does_not_pause():
    production = Production(1)
    production.next_index()
    production.stop()
    assert not production.must_pause


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_no_more_is_unread_than_the_limit(limit: int, steps: list[bool]) -> None:
    production = Production(limit)
    yielded = read = 0
    for is_reading in steps:
        if is_reading and read < yielded:
            read += 1
            production.read(read)
        elif not is_reading and not production.must_pause:
            yielded = production.next_index()
        assert yielded - read <= limit
        assert production.must_pause == (yielded - read == limit)
