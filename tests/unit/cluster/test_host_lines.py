"""`Lines`: the output of a worker on its way, in batches that keep its order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from nbactors.cluster.host.output import lines
from nbactors.cluster.host.output.lines import Lines
from nbactors.testing import eventually


class Road:
    """Takes batches; they arrive when the test says so."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[tuple[int, int, str]]]] = []
        self.is_open = threading.Event()
        self.is_open.set()

    def send(self, hub: str, batch: list[tuple[int, int, str]]) -> list[int]:
        self.batches.append((hub, batch))
        return [len(self.batches)]

    def wait(self, batches: list[Any], seconds: float) -> list[Any]:
        return [] if self.is_open.wait(seconds) else batches

    def text(self, hub: str = "a") -> str:
        return "".join(text for name, batch in self.batches for _, _, text in batch if name == hub)


@pytest.fixture
def road() -> Road:
    return Road()


@pytest.fixture
def out(road: Road) -> Iterator[Lines]:
    out = Lines(road.send, road.wait)
    yield out
    out.close(10, 10)


def test_output_is_sent_without_a_flush(road: Road, out: Lines) -> None:
    out.write("a", 1, 1, "one\n")
    eventually(lambda: road.text() == "one\n")
    assert road.batches == [("a", [(1, 1, "one\n")])]


def test_an_unfinished_line_waits_for_its_end_or_that_of_the_call(road: Road, out: Lines) -> None:
    out.write("a", 1, 1, "half ")
    out.flush()
    assert road.text() == ""
    out.write("a", 1, 1, "and half\nrest")
    out.flush()
    assert road.text() == "half and half\n"
    assert out.finish("a", 1)
    out.flush()
    assert road.text() == "half and half\nrest"
    assert not out.finish("a", 1)


def test_the_end_of_a_thread_takes_its_own_unfinished_lines(road: Road, out: Lines) -> None:
    out.write("a", 1, 1, "of the call")
    out.write("a", 1, 1, "of the thread", thread=7)
    assert out.finish("a", 1, (7,))
    out.write("a", 1, 1, " itself\n")
    out.flush()
    assert road.text() == "of the threadof the call itself\n"


def test_unfinished_lines_of_all_cells_are_taken_when_the_process_ends(road: Road, out: Lines) -> None:
    for hub, cell in [("a", 1), ("a", 2), ("b", 1)]:
        out.write(hub, cell, 1, f"rest {cell}")
    out.finish_all()
    out.finish_all()
    out.flush()
    assert [road.text("a"), road.text("b")] == ["rest 1rest 2", "rest 1"]


def test_cells_streams_and_sessions_are_told_apart_in_the_order_of_writing(road: Road, out: Lines) -> None:
    for hub, cell, stream, text in [("a", 1, 1, "x\n"), ("a", 1, 1, "y\n"), ("a", 1, 2, "e\n"), ("b", 9, 1, "z\n")]:
        out.write(hub, cell, stream, text)
    out.flush()
    merged: dict[str, list[tuple[int, int, str]]] = {}
    for hub, batch in road.batches:
        merged.setdefault(hub, []).extend(batch)
    assert "".join(text for cell, stream, text in merged["a"] if stream == 1) == "x\ny\n"
    assert merged["a"][-1] == (1, 2, "e\n")
    assert merged["b"] == [(9, 1, "z\n")]


def test_a_writer_that_is_faster_than_its_session_waits(
    road: Road, out: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_WAITING", 100)
    road.is_open.clear()
    is_done = threading.Event()

    def write() -> None:
        for _ in range(200):
            out.write("a", 1, 1, "x" * 9 + "\n")
        is_done.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert not is_done.wait(0.3)
    road.is_open.set()
    writer.join(30)
    out.flush()
    assert len(road.text()) == 2000


def test_a_call_that_ends_waits_for_output_that_is_being_sent(road: Road) -> None:
    is_sending, may_go_on = threading.Event(), threading.Event()

    def send(hub: str, batch: list[tuple[int, int, str]]) -> list[int]:
        is_sending.set()
        assert may_go_on.wait(10)
        return road.send(hub, batch)

    out = Lines(send, road.wait)
    out.write("a", 1, 1, "one\n")
    assert is_sending.wait(10)
    has_output = out.finish("a", 1)
    may_go_on.set()
    out.flush()
    assert (has_output, road.text()) == (True, "one\n")
    assert not out.finish("a", 1)
    out.close(10, 10)


class Queue:
    """Takes batches; one arrives with each wait, as in a session that is slow, until `left` have arrived."""

    def __init__(self, left: int) -> None:
        self.sent = 0
        self.left = left

    def send(self, hub: str, batch: list[tuple[int, int, str]]) -> list[int]:
        del hub, batch
        self.sent += 1
        return [self.sent]

    def wait(self, batches: list[Any], seconds: float) -> list[Any]:
        del seconds
        if self.left > 0:
            self.left -= 1
            return batches[1:]
        return batches


@pytest.mark.parametrize(("left", "arrives"), [(5, True), (4, False), (0, False)])
def test_the_end_of_a_process_waits_while_its_output_arrives(left: int, arrives: bool) -> None:
    session = Queue(left)
    out = Lines(session.send, session.wait)
    for sent in range(5):
        out.write("a", 1, 1, "x\n")
        eventually(lambda sent=sent: session.sent > sent)  # type: ignore[misc] # mypy infers no type of such a lambda
    assert (out.close(10, 10), session.left) == (arrives, 0)
