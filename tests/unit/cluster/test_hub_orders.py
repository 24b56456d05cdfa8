"""`Hub`: reports of workers, and orders to them. The class itself, without Ray."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nbactors.cluster import hub as module
from nbactors.cluster.common import packed_report
from nbactors.cluster.common.packed_report import packed, unpacked
from nbactors.cluster.hub import Hub


def test_reports_are_taken_in_the_order_of_their_arrival() -> None:
    async def run() -> list[Any]:
        hub = Hub()
        waiting = asyncio.ensure_future(hub.await_reports(30))
        await asyncio.sleep(0)
        for number in range(3):
            await hub.report("output", ("A", 1), number)
        await waiting
        return (await hub.take())[0]

    assert [content for _, _, content in asyncio.run(run())] == [0, 1, 2]


def test_numbered_reports_of_a_process_are_put_in_order() -> None:
    async def run() -> list[Any]:
        hub = Hub()
        for number in (2, 1, 4, 3):
            await hub.report("output", ("A", 1), number, b"process", number)
        await hub.report("output", ("B", 2), "other", b"another", 1)
        return (await hub.take())[0]

    assert [content for _, _, content in asyncio.run(run())] == [1, 2, 3, 4, "other"]


def test_the_pieces_of_a_report_are_one_again_whatever_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_report, "PIECE_BYTES", 10)
    first, second = packed(["x" * 25]), packed("second")
    assert (len(first), len(second)) == (5, 3)

    async def run() -> list[Any]:
        hub = Hub()
        for index in range(5)[::-1]:
            await hub.report("output", ("A", 1), first[index], b"process", 1, index, 5)
            if index == 2:
                for each in range(3):
                    await hub.report("output", ("A", 1), second[each], b"process", 2, each, 3)
        return (await hub.take())[0]

    assert [unpacked(content) for _, _, content in asyncio.run(run())] == [["x" * 25], "second"]


def test_the_session_takes_much_in_several_parts_and_events_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAKE_BYTES", 10)

    async def run() -> list[tuple[list[Any], bool]]:
        hub = Hub()
        await hub.report("events", ("A", 1), {"calls": []})
        for number in range(5):
            await hub.report("output", ("A", 1), b"%04d" % number)
        parts = []
        has_more = True
        while has_more:
            taken, has_more = await hub.take()
            parts.append(([content for _, _, content in taken], has_more))
        return parts

    assert asyncio.run(run()) == [([b"0000", b"0001", b"0002"], True), ([b"0003", b"0004", {"calls": []}], False)]


def test_a_worker_waits_while_too_much_was_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)

    async def run() -> bool:
        hub = Hub()
        first = asyncio.ensure_future(hub.report("output", ("A", 1), b"x" * 11))
        await asyncio.sleep(0)
        was_held = not first.done()
        await hub.take()
        await asyncio.wait_for(first, 30)
        return was_held

    assert asyncio.run(run())


def test_an_order_reaches_a_host_that_waits_and_its_answer_comes_back() -> None:
    async def run() -> tuple[Any, Any]:
        hub = Hub()
        asked = asyncio.ensure_future(hub.orders(b"actor", 30))
        await asyncio.sleep(0)
        answer = asyncio.ensure_future(hub.order(b"actor", "stack", (1,), 30))
        ((number, name, args),) = await asked
        await hub.answer(number, "frames")
        return (name, args), await answer

    assert asyncio.run(run()) == (("stack", (1,)), "frames")


def test_an_order_that_nobody_asks_for_ends_and_is_forgotten() -> None:
    async def run() -> list[Any]:
        hub = Hub()
        with pytest.raises(TimeoutError, match="has not answered"):
            await hub.order(b"dead", "stack", (), 0.01)
        return await hub.orders(b"dead", 0.01)

    assert asyncio.run(run()) == []


def test_a_host_that_leaves_waits_no_more() -> None:
    async def run() -> list[Any]:
        hub = Hub()
        asked = asyncio.ensure_future(hub.orders(b"actor", 30))
        await asyncio.sleep(0)
        await hub.leave(b"actor")
        return [await asyncio.wait_for(asked, 10), await asyncio.wait_for(hub.orders(b"actor", 30), 10)]

    assert asyncio.run(run()) == [[], []]


def test_an_error_of_a_host_is_that_of_the_order() -> None:
    async def run() -> None:
        hub = Hub()
        answer = asyncio.ensure_future(hub.order(b"a", "stack", (), 30))
        await asyncio.sleep(0)
        ((number, _, _),) = await hub.orders(b"a", 0)
        await hub.answer(number, ValueError("no"))
        await answer

    with pytest.raises(ValueError, match="no"):
        asyncio.run(run())


def test_a_host_that_asks_for_orders_is_awaited_until_its_output_is_there() -> None:
    async def run() -> list[Any]:
        hub = Hub()
        await hub.flush(b"actor", 30)  # none has asked
        await hub.orders(b"actor", 0)
        asked = asyncio.ensure_future(hub.orders(b"actor", 30))
        await asyncio.sleep(0)
        flushed = asyncio.ensure_future(hub.flush(b"", 30))
        ((number, name, args),) = await asked
        found = [name, args, flushed.done()]
        await hub.answer(number, None)
        await flushed
        return found

    assert asyncio.run(run()) == ["flush", (), False]


@pytest.mark.parametrize("address", [b"", b"dead"])
def test_a_host_that_sends_no_output_is_awaited_once(address: bytes) -> None:
    async def run() -> int:
        hub = Hub()
        await hub.orders(b"dead", 0)
        await hub.flush(address, 0.01)
        await hub.orders(b"dead", 0.01)  # the last question of a process that is being killed
        await asyncio.wait_for(hub.flush(b"dead", 30), 10)
        return len(await hub.orders(b"dead", 0))

    assert asyncio.run(run()) == 0


def test_an_actor_that_was_started_again_gets_the_orders_and_its_crashed_process_none() -> None:
    async def run() -> list[Any]:
        hub = Hub()
        crashed = asyncio.ensure_future(hub.orders(b"actor", 30))
        await asyncio.sleep(0)
        first = await asyncio.wait_for(hub.orders(b"actor", 0), 10)
        again = asyncio.ensure_future(hub.orders(b"actor", 30))
        await asyncio.sleep(0)
        order = asyncio.ensure_future(hub.order(b"actor", "stop", (), 30))
        found = [await asyncio.wait_for(crashed, 10), first, [name for _, name, _ in await asyncio.wait_for(again, 10)]]
        await hub.answer(1, None)
        await order
        return found

    assert asyncio.run(run()) == [[], [], ["stop"]]


def test_an_actor_that_has_left_and_was_started_again_waits_for_orders() -> None:
    async def run() -> tuple[bool, list[Any]]:
        hub = Hub()
        await hub.leave(b"actor")
        await hub.orders(b"actor", 0)
        asked = asyncio.ensure_future(hub.orders(b"actor", 30))
        for _ in range(5):
            await asyncio.sleep(0)
        waits = not asked.done()
        await hub.leave(b"actor")
        return waits, await asyncio.wait_for(asked, 10)

    assert asyncio.run(run()) == (True, [])


def test_a_hub_that_was_started_again_goes_on_with_the_numbers_that_come() -> None:
    async def run() -> list[Any]:
        hub = Hub(lambda: True)
        for number in (7, 6, 9, 8):
            await hub.report("output", ("A", 1), number, b"process", number)
        return (await hub.take())[0]

    assert [content for _, _, content in asyncio.run(run())] == [7, 6, 8, 9]


def test_many_waiting_hosts_ask_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ANSWERS", 20)

    async def run() -> float:
        hub = Hub()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*[hub.orders(bytes([number]), 0.001) for number in range(4)])
        return loop.time() - began

    assert asyncio.run(run()) >= 4 / 20 - 0.01


@pytest.mark.parametrize(("hosts", "seconds"), [(1, 2.0), (100, 2.0), (150, 3.0), (200, 4.0), (1000, 4.0), (2000, 8.0)])
def test_the_more_hosts_wait_the_longer_each_does(hosts: int, seconds: float) -> None:
    assert module.patience(2.0, hosts) == seconds
