"""Under which cells the messages of a cell show. The kernel's shell is a recorder of what would be sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("IPython")

from nbactors.frontend import calling_cell
from nbactors.jupyter.cell_output.cells import Cells
from nbactors.jupyter.cell_output.inbox import LOOK_S

LONG_AGO = -10 * LOOK_S


class Notebook:
    """The cells of a kernel, and what was sent to them: (id of the cell's request, type, text) of each message."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self._parent: dict[str, Any] = {}
        kernel = SimpleNamespace(session=self, iopub_socket=None)
        magics = SimpleNamespace(magics={"line": {"inbox": None}})
        self.cells = Cells(SimpleNamespace(kernel=kernel, get_parent=lambda: self._parent, magics_manager=magics))
        self._count = 0

    def send(self, _: Any, kind: str, content: dict[str, Any], parent: dict[str, Any], ident: bytes) -> None:
        text = content.get("text") or content.get("data", {}).get("text/plain", "")
        self.sent.append((parent["header"]["msg_id"], kind, text))

    def begin(self, page: str, ago: float = 0.0) -> int:
        """Begin a cell that a page has sent at a time, relative to now. Returns its number."""
        self._count += 1
        date = datetime.now(timezone.utc) + timedelta(seconds=ago)
        header = {"msg_id": f"{page}{self._count}", "session": page, "date": date}
        self._parent = {"header": header, "metadata": {"cellId": "x"}}
        self.cells.enter()
        return calling_cell.current()

    def run(self, page: str, ago: float = 0.0) -> int:
        """Run a cell to its end. The cells have the prompts In[1], In[2] and so on."""
        number = self.begin(page, ago)
        self.cells.leave(self._count)
        return number

    def prints(self, cell: int, text: str) -> None:
        self.cells.publish(cell, "stream", {"name": "stdout", "text": text})

    def shows(self, cell: int, kind: str, text: str) -> None:
        self.cells.publish(cell, kind, {"data": {"text/plain": text}, "transient": {"display_id": "x"}})

    def under(self, request: str) -> list[str]:
        """What was sent to a cell."""
        return [text for owner, _, text in self.sent if owner == request]


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    yield Notebook()
    calling_cell.enter(0)


def test_a_cell_that_has_waited_for_its_turn_says_nothing_of_its_page_now(notebook: Notebook) -> None:
    cell = notebook.run("a", LONG_AGO)
    notebook.prints(cell, "late")
    notebook.begin("b")
    assert notebook.cells.missed() == [cell]


def test_a_page_whose_clock_is_ahead_is_not_seen_in_the_future(notebook: Notebook) -> None:
    notebook.run("a", 1e6)
    sign = notebook.cells._inbox._signs["a"]
    assert sign <= datetime.now(timezone.utc).timestamp()


def test_messages_of_a_replayed_cell_show_under_both_cells(notebook: Notebook) -> None:
    cell = notebook.run("a", LONG_AGO)
    notebook.prints(cell, "late")
    notebook.begin("b")
    notebook.cells.replay(notebook.cells.missed())
    notebook.cells.leave(2)
    notebook.prints(cell, "later")
    assert notebook.under("b2") == ["from In[1]:\n", "late", "later"]
    assert notebook.under("a1") == ["late", "later"]


def test_a_change_of_a_replayed_display_is_sent_once(notebook: Notebook) -> None:
    cell = notebook.run("a", LONG_AGO)
    notebook.shows(cell, "display_data", "first")
    notebook.begin("b")
    notebook.cells.replay([cell])
    notebook.shows(cell, "update_display_data", "second")
    assert notebook.under("a1") == ["first"]
    assert notebook.under("b2")[-2:] == ["first", "second"]


def test_a_replayed_cell_does_not_clear_what_shows_beside_it(notebook: Notebook) -> None:
    cell = notebook.run("a", LONG_AGO)
    notebook.prints(cell, "late")
    notebook.begin("b")
    notebook.cells.replay([cell])
    notebook.cells.publish(cell, "clear_output", {"wait": False})
    assert [owner for owner, kind, _ in notebook.sent if kind == "clear_output"] == ["a1"]


def test_messages_say_which_cell_they_belong_to_when_that_changes(notebook: Notebook) -> None:
    one, two = notebook.run("a", LONG_AGO), notebook.run("a", LONG_AGO)
    for cell, text in ((one, "1"), (two, "2")):
        notebook.prints(cell, text)
    here = notebook.begin("b")
    notebook.cells.replay([one, two])
    for cell in (two, one, one, here):
        notebook.prints(cell, ".")
    names = ["from In[1]:\n", "from In[2]:\n", "from In[1]:\n", "from this cell:\n"]
    assert [text for text in notebook.under("b3") if text.startswith("from")] == names


def test_an_inbox_that_is_run_again_shows_the_same_and_what_came_since(notebook: Notebook) -> None:
    cell = notebook.run("a", LONG_AGO)
    notebook.prints(cell, "late ")
    notebook.begin("b")
    notebook.cells.replay(notebook.cells.missed())
    notebook.prints(cell, "later")
    notebook.begin("b")
    notebook.cells.replay(notebook.cells.missed())
    assert notebook.under("b3") == ["from In[1]:\n", "late later"]
    notebook.prints(cell, "last")
    assert notebook.under("b3")[-1] == "last"
    assert "last" not in notebook.under("b2")


def test_a_cell_of_the_same_page_goes_on_under_itself_after_a_replay(notebook: Notebook) -> None:
    cell = notebook.run("a")
    notebook.prints(cell, "seen")
    notebook.begin("a")
    notebook.cells.replay([cell])
    notebook.prints(cell, "next")
    assert notebook.under("a2") == ["from In[1]:\n", "seen"]
    assert notebook.under("a1") == ["seen", "next"]


def test_a_cell_that_has_run_another_cell_still_replays(notebook: Notebook) -> None:
    cell = notebook.run("a", LONG_AGO)
    notebook.prints(cell, "late")
    notebook.begin("b")
    notebook.run("b")
    notebook.cells.replay(notebook.cells.missed())
    assert "late" in notebook.under("b3")


def test_what_is_dropped_is_told(notebook: Notebook) -> None:
    cell = notebook.run("a", LONG_AGO)
    notebook.prints(cell, "x" * (5 << 20))
    notebook.begin("b")
    notebook.cells.replay(notebook.cells.missed())
    assert notebook.under("b2") == ["from In[1] (1 message is not kept any more):\n"]


def test_a_hint_comes_once_and_again_when_there_is_more(notebook: Notebook) -> None:
    one, two = notebook.run("a", LONG_AGO), notebook.run("a", LONG_AGO)
    hints = []
    for cell in (one, 0, two, 0):
        if cell:
            notebook.prints(cell, "late")
        notebook.begin("b")
        notebook.sent.clear()
        notebook.cells.hint()
        hints.append("".join(text for _, _, text in notebook.sent))
    assert hints == [
        "nbactors: 1 earlier cell has output that this page has not shown: `%inbox` shows it.\n",
        "",
        "nbactors: 2 earlier cells have output that this page has not shown: `%inbox` shows it.\n",
        "",
    ]


def test_a_page_that_has_replayed_all_gets_no_hint(notebook: Notebook) -> None:
    cell = notebook.run("a", LONG_AGO)
    notebook.prints(cell, "late")
    notebook.begin("b")
    notebook.cells.replay(notebook.cells.missed())
    notebook.sent.clear()
    notebook.cells.hint()
    assert notebook.sent == []


def test_what_need_not_be_kept_is_sent_only(notebook: Notebook) -> None:
    cell = notebook.run("a", LONG_AGO)
    notebook.cells.publish(cell, "stream", {"name": "stdout", "text": "once"}, is_kept=False)
    assert notebook.under("a1") == ["once"]
    assert notebook.cells.kept() == []
