"""`Grid`: a table that draws its visible rows only, and keeps its selection on a row that moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nbactors.cli.top.columns import Column, fitted


class GridRow(NamedTuple):
    """A row: its key, a text for each column, and whether it stands back."""

    key: str
    cells: Sequence[str]
    is_dim: bool = False


class Grid(ScrollView, can_focus=True):
    """A table with a heading. The app's thread.

    Args:
        columns: The columns, the most important first.
        id: As of every widget.
    """

    DEFAULT_CSS = """
    Grid { height: 1fr; }
    Grid > .grid--head { text-style: bold; color: $text-muted; }
    Grid > .grid--selected { text-style: bold; background: $surface-lighten-2; }
    Grid:focus > .grid--selected { text-style: reverse; }
    Grid > .grid--dim { color: $text-muted; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"grid--head", "grid--selected", "grid--dim"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1000000000)", show=False),
        Binding("end", "move(1000000000)", show=False),
    ]

    class Selected(Message):
        """Another row is selected by the user."""

    class HeadClicked(Message):
        """A heading was clicked.

        Args:
            title: The column's title.
        """

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    def __init__(self, columns: Sequence[Column], id: str) -> None:  # noqa: A002 - textual's name
        super().__init__(id=id)
        self._columns = columns
        self._rows: Sequence[GridRow] = ()
        self._index = 0
        self._marks: dict[str, str] = {}

    @property
    def key(self) -> str:
        """The key of the selected row, empty if there is no row."""
        return self._rows[self._index].key if self._rows else ""

    def visible_keys(self) -> list[str]:
        """Return the keys of the rows that are on the screen."""
        top = self.scroll_offset.y
        return [row.key for row in self._rows[top : top + max(self.size.height - 1, 0)]]

    def show(self, rows: Sequence[GridRow], marks: dict[str, str] | None = None) -> None:
        """Show these rows. The selection stays on its row; if that has gone, on the one in its place.

        Args:
            rows: All rows.
            marks: What stands after a heading, by the column's title.
        """
        if rows == self._rows and (marks or {}) == self._marks:
            return
        before, key = self._index, self.key
        self._rows, self._marks = rows, marks or {}
        place = next((index for index, row in enumerate(rows) if row.key == key), -1)
        self._index = place if place >= 0 else max(0, min(before, len(rows) - 1))
        height = len(rows) + 1
        if self.virtual_size.height != height:
            self.virtual_size = Size(0, height)
        is_off_top = self.scroll_offset.y > 0
        if place >= 0 and is_off_top and place != before:  # the row stays where it is on the screen
            self.scroll_to(y=max(0, self.scroll_offset.y + place - before), animate=False, immediate=True)
        self._reveal()
        self.refresh()

    def select(self, key: str) -> None:
        """Select a row, if it is there."""
        place = next((index for index, row in enumerate(self._rows) if row.key == key), -1)
        if place >= 0:
            self._index = place
            self._reveal()
            self.refresh()

    def _reveal(self) -> None:
        """Scroll so far that the selected row is on the screen."""
        room = max(self.size.height - 1, 1)
        top = self.scroll_offset.y
        wanted = min(max(top, self._index - room + 1), self._index)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, immediate=True)

    def action_move(self, steps: int) -> None:
        """Move the selection. Called by textual."""
        if self._rows:
            self._index = max(0, min(self._index + steps, len(self._rows) - 1))
            self._reveal()
            self.refresh()
            self.post_message(self.Selected())

    def action_page(self, pages: int) -> None:
        """Move the selection by a screen. Called by textual."""
        self.action_move(pages * max(self.size.height - 1, 1))

    def on_click(self, event: events.Click) -> None:
        """Select the row, or tell of the heading, under the mouse. Called by textual."""
        if event.y == 0:
            left = 0
            for index, width in fitted(self._columns, self.size.width):
                if left <= event.x < left + width:
                    self.post_message(self.HeadClicked(self._columns[index].title))
                left += width + 1
            return
        place = self.scroll_offset.y + event.y - 1
        if place < len(self._rows):
            self._index = place
            self.refresh()
            self.post_message(self.Selected())

    def on_resize(self) -> None:
        """Keep the selected row on the screen. Called by textual."""
        self._reveal()

    def render_line(self, y: int) -> Strip:
        """Return a line of the screen. Called by textual, for visible lines only."""
        width = self.size.width
        if y == 0:
            titles = [f"{one.title.upper()}{self._marks.get(one.title, '')}" for one in self._columns]
            return self._strip(titles, self.get_component_rich_style("grid--head"), width)
        place = self.scroll_offset.y + y - 1
        if place >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[place]
        style = self.rich_style
        if place == self._index:
            style = self.get_component_rich_style("grid--selected")
        elif row.is_dim:
            style = self.get_component_rich_style("grid--dim")
        return self._strip(row.cells, style, width)

    def _strip(self, cells: Sequence[str], style: Style, width: int) -> Strip:
        parts = [
            _cell(cells[index], size, self._columns[index].is_right) for index, size in fitted(self._columns, width)
        ]
        return Strip([Segment(set_cell_size(" ".join(parts), width), style)], width)


def _cell(text: str, size: int, is_right: bool) -> str:
    """Return a text in exactly so many cells of the terminal, without characters that steer it."""
    plain = "".join(letter if letter.isprintable() else "�" for letter in text)
    length = cell_len(plain)
    if length > size:
        return set_cell_size(plain, size - 1) + "…" if size > 1 else set_cell_size(plain, size)
    return " " * (size - length) + plain if is_right else plain + " " * (size - length)
