"""How far a generator may run, and how what it yields becomes a number of results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from nbactors.local.wire import messages
from nbactors.local.worker.jobs.production import Production
from nbactors.local.worker.running import taking
from nbactors.options.num_returns import DYNAMIC, STREAMING


def production(backpressure: int, num_returns: int = STREAMING) -> Production:
    return Production(messages.Call(1, "count", b"", num_returns, "", (), None, "", backpressure))  # type: ignore[arg-type]


class TestProduction:
    @pytest.mark.parametrize("bound", [1, 2, 5])
    def test_it_pauses_when_so_many_are_unread(self, bound: int) -> None:
        stream = production(bound)
        for _ in range(bound):
            assert not stream.must_pause
            stream.next_index()
        assert stream.must_pause
        stream.read(1)
        assert not stream.must_pause

    @pytest.mark.parametrize("bound", [0, -1])
    def test_without_a_bound_it_never_pauses(self, bound: int) -> None:
        stream = production(bound)
        for _ in range(1000):
            stream.next_index()
        assert not stream.must_pause

    def test_what_is_collected_never_pauses(self) -> None:
        stream = production(1, DYNAMIC)
        stream.next_index()
        assert not stream.must_pause

    def test_what_was_read_before_counts_and_never_falls(self) -> None:
        stream = production(1)
        stream.read(2)
        stream.read(1)
        stream.next_index()
        stream.next_index()
        assert not stream.must_pause
        stream.next_index()
        assert stream.must_pause

    def test_word_of_it_wakes(self) -> None:
        stream = production(1)
        woken: list[str] = []
        stream.next_index()
        stream.pause(lambda: woken.append("woken"))
        stream.read(1)
        stream.stop()
        assert woken == ["woken"] * 2
        assert stream.stopped

    def test_stopping_ends_the_pause(self) -> None:
        stream = production(1)
        stream.next_index()
        stream.stop()
        assert not stream.must_pause


def count(number: int, ended: list[str], error: BaseException | None) -> Iterator[int]:
    try:
        for i in range(number):  # noqa: UP028 - closed with the rest
            yield i
        if error is not None:
            raise error
    finally:
        ended.append("ended")


async def count_async(number: int, ended: list[str], error: BaseException | None) -> AsyncIterator[int]:
    try:
        for i in range(number):
            yield i
        if error is not None:
            raise error
    finally:
        ended.append("ended")


def take(number: int, wanted: int, ended: list[str], error: BaseException | None = None) -> Any:
    return taking.take(count(number, ended, error), wanted)


def take_async(number: int, wanted: int, ended: list[str], error: BaseException | None = None) -> Any:
    return asyncio.run(taking.take_async(count_async(number, ended, error), wanted))


@pytest.mark.parametrize("taking", [take, take_async])
class TestTake:
    @pytest.mark.parametrize("wanted", [1, 3])
    def test_as_many_as_wanted(self, taking: Any, wanted: int) -> None:
        assert taking(wanted, wanted, []) == (list(range(wanted)), None)

    @pytest.mark.parametrize("given", [0, 2])
    def test_too_few(self, taking: Any, given: int) -> None:
        values, error = taking(given, 3, [])
        assert values == list(range(given))
        assert str(error) == f"Task returned {given} objects, but num_returns=3."

    @pytest.mark.parametrize("wanted", [1, 3])
    def test_too_many_are_told_at_the_first_of_them(self, taking: Any, wanted: int) -> None:
        ended: list[str] = []
        values, error = taking(10**12, wanted, ended)
        assert values == list(range(wanted))
        assert str(error) == f"Task returned more than num_returns={wanted} objects."
        assert ended == ["ended"]

    @pytest.mark.parametrize("wanted", [1, 2, 4])
    def test_an_error_leaves_the_values_before_it(self, taking: Any, wanted: int) -> None:
        values, error = taking(2, wanted, [], ValueError("amid"))
        assert values == [0, 1][:wanted]
        assert str(error) == ("amid" if wanted > 1 else "Task returned more than num_returns=1 objects.")

    def test_an_interrupt_is_raised(self, taking: Any) -> None:
        ended: list[str] = []
        with pytest.raises(KeyboardInterrupt, match="amid"):
            taking(2, 3, ended, KeyboardInterrupt("amid"))
        assert ended == ["ended"]
