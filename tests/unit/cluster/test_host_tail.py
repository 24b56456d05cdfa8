"""`Tail`: the end of what a worker has written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from nbactors.cluster.host.output.tail import Tail


def test_it_returns_what_was_written_since_the_last_question() -> None:
    tail = Tail()
    tail.add("one\n")
    position, text = tail.since(0)
    assert (position, text) == (4, "one\n")
    assert tail.since(position) == (4, "")
    tail.add("two\n")
    assert tail.since(position) == (8, "two\n")
    assert tail.since(0) == (8, "one\ntwo\n")


@given(some.lists(some.text("ab\n", max_size=9000), max_size=12), some.integers(0, 40_000))
def test_it_keeps_the_last_characters_and_no_more_than_a_piece_beyond(texts: list[str], position: int) -> None:
    tail, whole = Tail(10_000), ""
    for text in texts:
        tail.add(text)
        whole += text
    written, found = tail.since(position)
    assert written == len(whole)
    assert whole[position:].endswith(found)
    assert len(found) >= min(len(whole[position:]), 10_000)
    assert len(tail.since(0)[1]) <= 10_000 + 4096 + 9000
