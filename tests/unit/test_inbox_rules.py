"""The inbox of a kernel: which messages are kept for a page that has not shown them, and which pages those are."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("IPython")

from nbactors.jupyter.cell_output import inbox as rules
from nbactors.jupyter.cell_output.inbox import LOOK_S, WIDGET_MIME, Inbox, Message

SENT = 100.0
LATE = SENT + LOOK_S + 1


def line(text: str, name: str = "stdout") -> Message:
    return Message("stream", {"name": name, "text": text})


def shown(text: str, display: str = "", is_update: bool = False) -> Message:
    content: dict[str, Any] = {"data": {"text/plain": text}, "metadata": {}, "transient": {"display_id": display}}
    return Message("update_display_data" if is_update else "display_data", content)


def clear(wait: bool) -> Message:
    return Message("clear_output", {"wait": wait})


def inbox(cells: int = 1) -> Inbox:
    """An inbox with cells that the page "a" has sent at the time `SENT`."""
    result = Inbox()
    for cell in range(1, cells + 1):
        result.begin(cell, "a", SENT)
    return result


def texts(box: Inbox, cell: int = 1) -> list[str]:
    """What a cell shows: texts of streams and displays."""
    kept = box.kept(cell)
    assert kept is not None
    contents = [message.content for message in kept.messages()]
    return [content.get("text") or content["data"]["text/plain"] for content in contents]


def test_another_page_has_missed_what_came_after_the_first_page_had_sent_its_last_cell() -> None:
    box = inbox(2)
    box.add(1, line("late\n"), LATE)
    assert box.missed("b") == [1]
    assert box.missed("a") == []


def test_what_comes_soon_after_a_page_has_sent_a_cell_counts_as_shown() -> None:
    box = inbox()
    box.add(1, line("at once\n"), SENT + LOOK_S / 2)
    assert box.missed("b") == []
    assert texts(box) == ["at once\n"]


def test_a_live_display_is_missed_by_another_page_until_it_ends() -> None:
    box = inbox()
    live = shown("running", "d")
    live.content["data"][WIDGET_MIME] = {"model_id": "m"}
    box.add(1, live, SENT)
    assert box.missed("b") == [1]
    assert box.missed("a") == []
    box.add(1, shown("done", "d", is_update=True), SENT + LOOK_S / 2)
    assert box.missed("b") == []


def test_each_cell_that_a_page_sends_shows_that_the_page_is_there() -> None:
    box = inbox()
    box.add(1, line("late\n"), LATE)
    box.begin(2, "a", LATE)
    assert box.missed("b") == []


def test_a_cell_of_another_page_says_nothing_of_the_first_page() -> None:
    box = inbox()
    box.begin(2, "b", LATE)
    box.add(1, line("late\n"), LATE)
    assert box.missed("b") == [1]


def test_a_page_that_has_replayed_a_cell_shows_it_from_then_on() -> None:
    box = inbox()
    box.add(1, line("late\n"), LATE)
    box.begin(2, "b", LATE)
    kept = box.kept(1)
    assert kept is not None
    kept.page, kept.is_replayed = "b", True
    assert (box.missed("b"), box.replayed("b")) == ([], [1])
    assert (box.missed("c"), box.replayed("c")) == ([], [])
    box.add(1, line("later\n"), LATE + LOOK_S + 1)
    assert box.missed("c") == [1]


def test_streams_are_joined_where_nothing_comes_between_them() -> None:
    box = inbox()
    for message in (line("a"), line("b"), line("c", "stderr"), shown("d"), line("e"), line("f")):
        box.add(1, message, LATE)
    assert texts(box) == ["ab", "c", "d", "ef"]


def test_a_display_is_kept_in_its_place_with_its_last_state() -> None:
    box = inbox()
    for message in (shown("first", "x"), line("a"), shown("last", "x", is_update=True)):
        box.add(1, message, LATE)
    assert texts(box) == ["last", "a"]
    kept = box.kept(1)
    assert kept is not None
    assert kept.messages()[0].msg_type == "display_data"


def test_a_display_that_is_shown_twice_changes_in_both_places() -> None:
    box = inbox(2)
    box.add(1, shown("first", "x"), LATE)
    box.add(2, shown("second", "x"), LATE)
    assert texts(box, 1) == texts(box, 2) == ["second"]
    box.add(2, shown("third", "x", is_update=True), LATE)
    assert texts(box, 1) == texts(box, 2) == ["third"]


def test_an_update_of_a_display_that_is_not_kept_is_kept_as_a_display() -> None:
    box = inbox()
    box.add(1, shown("state", "x", is_update=True), LATE)
    assert texts(box) == ["state"]


@pytest.mark.parametrize("wait", [False, True])
def test_a_cleared_cell_keeps_what_came_later(wait: bool) -> None:
    box = inbox()
    for message in (line("a"), clear(wait), line("b")):
        box.add(1, message, LATE)
    assert texts(box) == ["b"]
    assert box.size == rules.OVERHEAD + 1 + len("stdout")


def test_a_cell_waits_with_clearing_until_something_comes() -> None:
    box = inbox()
    for message in (line("a"), clear(wait=True)):
        box.add(1, message, LATE)
    assert texts(box) == ["a"]


def test_a_cell_that_was_cleared_was_not_missed() -> None:
    box = inbox()
    for message in (clear(wait=False), line("a"), clear(wait=False)):
        box.add(1, message, LATE)
    assert box.missed("b") == []


def test_the_number_of_messages_of_a_cell_is_bounded_and_the_dropped_ones_are_counted() -> None:
    box = inbox()
    for number in range(rules.CELL_MESSAGES + 3):
        box.add(1, shown(f"{number}"), LATE)
    kept = box.kept(1)
    assert kept is not None
    assert (len(kept), kept.dropped) == (rules.CELL_MESSAGES, 3)
    assert texts(box)[0] == "3"


def test_many_short_lines_take_few_messages() -> None:
    box = inbox()
    for number in range(5_000):
        box.add(1, line(f"{number}\n"), LATE)
    kept = box.kept(1)
    assert kept is not None
    assert kept.dropped == 0
    assert "".join(texts(box)) == "".join(f"{number}\n" for number in range(5_000))
    assert len(kept) < 10


def test_a_display_that_changes_outlives_older_ones() -> None:
    box = inbox()
    box.add(1, shown("0", "x"), LATE)
    for number in range(rules.CELL_MESSAGES + 3):
        box.add(1, shown("other"), LATE)
        box.add(1, shown(str(number), "x", is_update=True), LATE)
    assert texts(box)[0] == str(rules.CELL_MESSAGES + 2)


def test_the_bytes_of_a_cell_are_bounded() -> None:
    box = inbox()
    big = "x" * (rules.CELL_BYTES // 3)
    for _ in range(4):
        box.add(1, shown(big), LATE)
    kept = box.kept(1)
    assert kept is not None
    assert (len(kept), kept.dropped) == (2, 2)
    assert box.size == kept.size <= rules.CELL_BYTES


def test_a_message_beyond_the_bound_is_counted_as_dropped() -> None:
    box = inbox()
    box.add(1, shown("x" * rules.CELL_BYTES), LATE)
    kept = box.kept(1)
    assert kept is not None
    assert (len(kept), kept.dropped, box.size) == (0, 1, 0)
    assert box.missed("b") == [1]


def test_of_all_cells_those_with_the_latest_messages_are_kept() -> None:
    count = rules.ALL_BYTES // rules.CELL_BYTES + 1
    box = inbox(count)
    big = shown("x" * (rules.CELL_BYTES - 4 * rules.OVERHEAD))
    for cell in range(1, count):
        box.add(cell, big, LATE)
    box.add(1, line("again"), LATE)
    box.add(count, big, LATE)
    assert box.size <= rules.ALL_BYTES
    dropped = {cell: kept.dropped for cell in box.cells() if (kept := box.kept(cell)) is not None}
    assert [cell for cell, number in dropped.items() if number] == [2]


def test_large_values_beside_text_are_counted() -> None:
    box = inbox()
    content = {"data": {"application/json": {"points": [1.5] * 1000}}, "metadata": {}, "transient": {}}
    box.add(1, Message("display_data", content), LATE)
    assert box.size == rules.OVERHEAD + 8 * 1000


def test_a_forgotten_cell_leaves_nothing() -> None:
    box = inbox()
    box.add(1, line("a"), LATE)
    box.forget(1)
    box.forget(1)
    box.add(1, line("b"), LATE)
    assert (box.cells(), box.size, box.missed("b")) == ([], 0, [])


def test_a_page_with_other_cells_is_remembered_when_one_is_forgotten() -> None:
    box = inbox(2)
    box.forget(1)
    box.add(2, line("late"), LATE)
    assert box.missed("b") == [2]
