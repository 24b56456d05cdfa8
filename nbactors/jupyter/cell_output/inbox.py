"""The inbox of a kernel: what calls have put under its cells, kept for a page that has not shown it.

A page that is loaded again gets no messages for the cells that it has run before, and neither does a second front end.
The kernel cannot know what a page has shown, or whether it still exists. But a page that sends a cell exists, so the
rule is: a page has shown what came until `LOOK_S` after it sent its last cell. Later messages count as missed by all
other pages, and so do live displays, which go on. Each load of a page has a session id of its own, which comes with
each cell that it runs. A page that has replayed the messages of a cell shows that cell from then on.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
"""The MIME type of a widget. A live display has it until it ends."""

LOOK_S = 2.0
"""Seconds for which a page that has sent a cell is taken to show what comes. A page takes about as long to load."""

CELL_MESSAGES = 2_000
CELL_BYTES = 4 << 20
"""The most messages that are kept of a cell, and their size. Of more, those that have changed last are kept."""

ALL_BYTES = 32 << 20
"""The size of the messages that are kept of all cells. Of more, those of cells with the latest messages are kept."""

JOINED = 16 << 10
"""Characters of one message in which the texts of a stream are joined."""

OVERHEAD = 500
"""Bytes that a message takes beside its text."""


class Message(NamedTuple):
    """A message as it is sent to a front end: its type and its content."""

    msg_type: str
    content: dict[str, Any]


class CellInbox:
    """The messages of one cell, as the cell shows them: with the last state of each display.

    Args:
        page: The session id of the page that has run the cell.

    Attributes:
        page: The session id of the page that shows the cell.
        is_replayed: Whether that page shows the cell since it has replayed its messages.
        size: Bytes of the messages that are kept, roughly.
        dropped: How many messages are kept no more.
        latest: The time of the latest message, in seconds since the epoch.
    """

    def __init__(self, page: str) -> None:
        self.page = page
        self.is_replayed = False
        self.size = 0
        self.dropped = 0
        self.latest = 0.0
        self._count = 0
        # By the number of arrival. The second one has the sizes, in the order of the last change.
        self._messages: dict[int, Message] = {}
        self._sizes: OrderedDict[int, int] = OrderedDict()
        self._displays: dict[str, set[int]] = {}
        self._live: set[int] = set()
        self._is_cleared_by_next = False

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def is_live(self) -> bool:
        """Whether a display of the cell goes on."""
        return bool(self._live)

    def add(self, message: Message, now: float) -> None:
        """Keep a message that begins a new output, or clear the cell."""
        self.latest = now
        if message.msg_type == "clear_output":
            if message.content.get("wait"):
                self._is_cleared_by_next = True
            else:
                self._clear()
            return
        if self._is_cleared_by_next:
            self._clear()
        last = self._messages.get(self._count)
        if last is not None and _is_same_stream(last, message) and len(last.content["text"]) < JOINED:
            text = last.content["text"] + message.content["text"]
            self.size -= self._sizes.pop(self._count)
            self._put(self._count, Message("stream", {**last.content, "text": text}))
            return
        self._count += 1
        if message.msg_type == "update_display_data":
            message = message._replace(msg_type="display_data")
        name = display_id(message)
        if name:
            self._displays.setdefault(name, set()).add(self._count)
        self._put(self._count, message)

    def has_display(self, name: str) -> bool:
        """Return whether the cell has kept a display."""
        return name in self._displays

    def update(self, message: Message, now: float) -> None:
        """Replace the state of a display that the cell has kept."""
        self.latest = now
        for number in sorted(self._displays.get(display_id(message), ())):
            self.size -= self._sizes.pop(number)
            self._put(number, message._replace(msg_type="display_data"))

    def drop_oldest(self) -> None:
        """Drop the message that has not changed for longest."""
        number, size = self._sizes.popitem(last=False)
        self._live.discard(number)
        name = display_id(self._messages.pop(number))
        if name:
            self._displays[name].discard(number)
            if not self._displays[name]:
                del self._displays[name]
        self.size -= size
        self.dropped += 1

    def messages(self) -> list[Message]:
        """Return the messages in the order of their arrival."""
        return list(self._messages.values())

    def _put(self, number: int, message: Message) -> None:
        size = OVERHEAD + _size(message.content)
        self._messages[number] = message
        self._sizes[number] = size
        self.size += size
        (self._live.add if WIDGET_MIME in message.content.get("data", ()) else self._live.discard)(number)
        while len(self._messages) > CELL_MESSAGES or self.size > CELL_BYTES:
            self.drop_oldest()

    def _clear(self) -> None:
        self._messages.clear()
        self._sizes.clear()
        self._displays.clear()
        self._live.clear()
        self.size = 0
        self._is_cleared_by_next = False


class Inbox:
    """The inboxes of all cells. Pure: no thread, and no clock. Times are in seconds since the epoch."""

    def __init__(self) -> None:
        self._pages: dict[int, str] = {}
        self._signs: dict[str, float] = {}
        # The cells with messages, those with the latest messages last.
        self._cells: OrderedDict[int, CellInbox] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes of all messages that are kept, roughly."""
        return self._size

    def begin(self, cell: int, page: str, sent: float) -> None:
        """Note a cell that a page has sent at a time."""
        self._pages[cell] = page
        self._signs[page] = max(sent, self._signs.get(page, sent))

    def forget(self, cell: int) -> None:
        """Forget a cell and its messages."""
        page = self._pages.pop(cell, None)
        kept = self._cells.pop(cell, None)
        if kept is not None:
            self._size -= kept.size
        if page not in self._pages.values():
            self._signs.pop(page or "", None)

    def add(self, cell: int, message: Message, now: float) -> None:
        """Keep a message of a cell, or change the display that the message replaces, wherever it is."""
        page = self._pages.get(cell)
        if page is None:
            return
        name = display_id(message)
        if name:
            shown = [number for number, kept in self._cells.items() if kept.has_display(name)]
            for number in shown:
                self._change(number, message, now, is_new=False)
            if shown and message.msg_type == "update_display_data":
                return
        if cell not in self._cells:
            if message.msg_type == "clear_output":
                return
            self._cells[cell] = CellInbox(page)
        self._change(cell, message, now, is_new=True)

    def _change(self, cell: int, message: Message, now: float, is_new: bool) -> None:
        kept = self._cells[cell]
        self._cells.move_to_end(cell)
        before = kept.size
        (kept.add if is_new else kept.update)(message, now)
        self._size += kept.size - before
        if self._size > ALL_BYTES:
            # A finalizer that has added a message meanwhile was counted twice.
            self._size = sum(each.size for each in self._cells.values())
        while self._size > ALL_BYTES:
            oldest = next(kept for kept in self._cells.values() if len(kept))
            before = oldest.size
            oldest.drop_oldest()
            self._size += oldest.size - before

    def cells(self) -> list[int]:
        """Return the cells that have had messages, in order."""
        return sorted(self._cells)

    def missed(self, page: str) -> list[int]:
        """Return the cells of other pages that go on, or have messages that these pages may have missed, in order."""
        return sorted(
            cell
            for cell, kept in self._cells.items()
            if kept.page != page
            and (len(kept) or kept.dropped)
            and (kept.is_live or kept.latest > self._signs[kept.page] + LOOK_S)
        )

    def replayed(self, page: str) -> list[int]:
        """Return the cells whose messages a page has replayed, in order."""
        return sorted(cell for cell, kept in self._cells.items() if kept.is_replayed and kept.page == page)

    def kept(self, cell: int) -> CellInbox | None:
        """Return the messages of a cell, None if it has had none."""
        return self._cells.get(cell)


def display_id(message: Message) -> str:
    """Return the id of the display that a message shows or replaces, empty if it has none."""
    return (message.content.get("transient") or {}).get("display_id") or ""


def _is_same_stream(one: Message, other: Message) -> bool:
    return one.msg_type == other.msg_type == "stream" and one.content["name"] == other.content["name"]


def _size(value: Any) -> int:
    """Return the size of a message's content, roughly: the characters of its texts, and eight for any other value."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_size, value))
    return 8
