"""Numbers the cells of this kernel, and sends messages that show under a given cell, whichever cell runs now.

A live front end shows a message under the cell that the message names as its parent, whenever it comes. A *batch
client* (nbclient, and with it papermill and nbconvert) keeps only messages whose parent is the running cell, and none
after the last cell. So for a batch client, messages of an earlier cell go to the running cell, and say which cell they
belong to. Messages that come between two cells wait for the next one.

A page that is loaded again ignores messages of the cells that it has run before. They are kept in the inbox. `%inbox`
replays them under its own cell, which takes in the later messages of these cells, too.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from time import time
from typing import Any, NamedTuple

from IPython.core.interactiveshell import InteractiveShell

from nbactors.frontend import calling_cell, redirected
from nbactors.jupyter.cell_output.inbox import CellInbox, Inbox, Message

KEPT = 10_000
"""Cells that are remembered. Output, displays and bars of older cells are not shown under them."""

HINTED = 100
"""Pages of which it is remembered of how much they were told."""

WAITING = 1_000
"""Messages that wait for the next cell of a batch client. Of more, the latest are kept."""


class _Late(NamedTuple):
    """A message of a batch client's cell that has ended."""

    number: int
    msg_type: str
    content: dict[str, Any]


class Cells:
    """The cells of a kernel. All methods but those that say so may be called on any thread.

    Args:
        shell: The kernel's shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._numbers = itertools.count(1)
        self._parents: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._prompts: dict[int, str] = {}
        self._running = 0
        self._hosts: dict[int, int] = {}
        """By the number of a cell, the number of the cell that has replayed its messages and shows the later ones."""
        self._named: dict[int, int] = {}
        """By the number of a cell that shows messages of other cells, the cell whose message it has shown last."""
        self._depth = 0
        self._late: list[_Late] = []
        self._inbox = Inbox()
        self._hinted: OrderedDict[str, int] = OrderedDict()
        """By page, the cells with missed messages of which it was told."""
        self._lock = threading.RLock()  # a signal handler may call a verb, and print

    def enter(self) -> None:
        """Number the cell that begins, and send it what has waited. On the thread that runs it.

        A cell magic such as `%%capture` runs the code below it as a cell inside the cell: it keeps the number.
        """
        parent = self._shell.get_parent()
        if not parent:
            return
        with self._lock:
            running = self._parents.get(self._running)
            if running is not None and running.get("header") == parent.get("header"):
                self._depth += 1
                return
            number = next(self._numbers)
            self._depth = 1
            self._parents[number] = parent
            if not self.is_batch(number):
                self._inbox.begin(number, _page(parent), _sent(parent))
            if len(self._parents) > KEPT:
                old, _ = self._parents.popitem(last=False)
                self._inbox.forget(old)
                for about in (self._prompts, self._hosts, self._named):
                    about.pop(old, None)
            self._running = number
            late, self._late = self._late, []
            for message in late:
                self.publish(*message)
        if threading.current_thread() is threading.main_thread():  # the cell of a subshell may run beside a block
            redirected.note(sys.stdout, sys.stderr)
        calling_cell.enter(number)

    def is_running(self, number: int) -> bool:
        """Return whether a cell runs now."""
        return number == self._running != 0

    @property
    def is_busy(self) -> bool:
        """Whether a cell runs now."""
        return self._running != 0

    @property
    def ending(self) -> int:
        """The number of the cell that ends now, 0 for none. On its thread.

        IPython calls the hooks at the end of a cell that awaits outside of the cell's context, so `calling_cell` has an
        earlier number there.
        """
        return self._running

    def leave(self, execution_count: int | None) -> None:
        """Note the end of the running cell, whose number for the user is `execution_count`. On its thread."""
        with self._lock:
            if execution_count is not None:
                self._prompts[self._running] = f"In[{execution_count}]"
            self._depth -= 1
            if self._depth <= 0:
                self._running = 0

    def prompt(self, number: int) -> str:
        """Return what the user calls a cell, such as "In[3]"; empty if it is not known any more."""
        if number == self._running != 0:
            return f"In[{self._shell.execution_count}]"
        return self._prompts.get(number, "")

    def parent(self, number: int) -> dict[str, Any] | None:
        """Return the message that started a cell, None if the cell is not known any more."""
        return self._parents.get(number)

    def is_batch(self, number: int) -> bool:
        """Return whether a batch client runs a cell. Front ends send metadata with a cell, such as its id."""
        parent = self._parents.get(number)
        return parent is not None and not parent.get("metadata") and "google.colab" not in sys.modules

    def publish(self, number: int, msg_type: str, content: dict[str, Any], is_kept: bool = True) -> bool:
        """Send a message that is to show under a cell, and keep it in the inbox if `is_kept`.

        Returns whether that cell is known.
        """
        if number not in self._parents:
            return False
        with self._lock:
            if self.is_batch(number):
                if msg_type != "clear_output" and not self._running:
                    self._keep(_Late(number, msg_type, content))
                elif self._running:
                    self._show(self._running, number, msg_type, content)
                return True
            if is_kept:
                self._inbox.add(number, Message(msg_type, content), time())
            host = self._hosts.get(number, number)
            if host != number and host in self._parents:
                self._show(host, number, msg_type, content)
                if msg_type == "update_display_data":
                    return True  # front ends replace a display wherever it is
            # The page that has run the cell may still be there.
            self._show(number, number, msg_type, content)
        return True

    def _show(self, host: int, number: int, msg_type: str, content: dict[str, Any]) -> None:
        """Send a message of one cell to another one, and tell its cell if that changes."""
        if number != host and msg_type == "clear_output":
            return  # it would clear the output of the other cell
        # A display is replaced where it is.
        if number != self._named.get(host, host) and msg_type != "update_display_data":
            self._name(host, number)
        self._send(self._parents[host], msg_type, content)

    def _name(self, host: int, number: int, note: str = "") -> None:
        """Tell under one cell that the next messages belong to another one."""
        self._named[host] = number
        name = "this cell" if number == host else self._prompts.get(number, "an earlier cell")
        self._send(self._parents[host], "stream", {"name": "stdout", "text": f"from {name}{note}:\n"})

    def _keep(self, late: _Late) -> None:
        if late.msg_type == "update_display_data":  # only the last state of a display matters
            same = (late.msg_type, late.content["transient"])
            self._late = [other for other in self._late if (other.msg_type, other.content.get("transient")) != same]
        self._late.append(late)
        del self._late[:-WAITING]

    def _send(self, parent: dict[str, Any], msg_type: str, content: dict[str, Any]) -> None:
        kernel = self._shell.kernel
        kernel.session.send(kernel.iopub_socket, msg_type, content, parent=parent, ident=msg_type.encode())

    def missed(self) -> list[int]:
        """Return the cells with messages that the page of the running cell has not shown, or has replayed, in order."""
        with self._lock:
            page = _page(self._parents.get(self._here))
            return sorted({*self._inbox.missed(page), *self._inbox.replayed(page)})

    def kept(self) -> list[tuple[int, str]]:
        """Return the numbers and the prompts of the cells with messages that are kept, in order."""
        with self._lock:
            return [(number, self._prompts.get(number, "")) for number in self._inbox.cells()]

    def replay(self, numbers: Iterable[int]) -> None:
        """Show what is kept of cells under the running cell. On its thread.

        The running cell also shows the later messages of those of the cells that its page has not run itself.
        """
        host = self._here
        parent = self._parents.get(host)
        if parent is None:
            return
        page = _page(parent)
        for number in numbers:
            with self._lock:
                kept = self._inbox.kept(number)
                if kept is None:
                    continue
                self._name(host, number, _dropped(kept))
                for message in kept.messages():
                    self._send(parent, *message)
                if kept.page != page or kept.is_replayed:
                    kept.page, kept.is_replayed = page, True
                    self._hosts[number] = host

    @property
    def _here(self) -> int:
        """The number of the running cell. If a cell has run another one, that has left, and was the latest."""
        return self._running or next(reversed(self._parents), 0)

    def hint(self) -> None:
        """Tell under the running cell of messages that its page may have missed, and has not replayed. On its thread.

        Tells again only if there are more such cells than before.
        """
        parent = self._parents.get(self._running)
        if parent is None or self.is_batch(self._running):
            return
        page = _page(parent)
        with self._lock:
            missed = len(self._inbox.missed(page))
        told = self._hinted.pop(page, 0)
        self._hinted[page] = missed
        if len(self._hinted) > HINTED:
            self._hinted.popitem(last=False)
        if missed <= told:
            return
        count = "1 earlier cell has" if missed == 1 else f"{missed:,} earlier cells have"
        has_magic = "inbox" in self._shell.magics_manager.magics["line"]
        how = "`%inbox` shows it" if has_magic else "`%load_ext nbactors` and `%inbox` show it"
        text = f"nbactors: {count} output that this page has not shown: {how}.\n"
        self._send(parent, "stream", {"name": "stderr", "text": text})

    def print_rest(self) -> None:
        """Write what came after the last cell of a batch to the terminal of the client. At the end of the kernel."""
        with self._lock:
            late, self._late = self._late, []
        lines = [text for message in late for text in self._lines(message)]
        if not lines:
            return
        text = "nbactors: this came after the last cell, so the notebook does not have it:\n" + "".join(lines)
        try:
            # ipykernel reads descriptor 2, but nobody reads the kernel's messages any more.
            os.write(getattr(sys.stderr, "_original_stdstream_copy", None) or 2, text.encode(errors="replace"))
        except OSError:
            pass

    def _lines(self, message: _Late) -> list[str]:
        content = message.content
        text = content.get("text") or content.get("evalue") or (content.get("data") or {}).get("text/plain") or ""
        prompt = self._prompts.get(message.number, "")
        return [f"{prompt} {line}\n" for line in text.splitlines()]


def _page(parent: dict[str, Any] | None) -> str:
    """Return the session id of the page that has sent a cell."""
    session: str = ((parent or {}).get("header") or {}).get("session") or ""
    return session


def _sent(parent: dict[str, Any]) -> float:
    """Return the time at which a page has sent a cell, in seconds since the epoch: the cell may have waited long.

    The clock of the page may be wrong, so the time is not later than now.
    """
    date = parent["header"].get("date")
    return min(date.timestamp(), time()) if isinstance(date, datetime) else time()


def _dropped(kept: CellInbox) -> str:
    count = kept.dropped
    return f" ({count:,} {'message is' if count == 1 else 'messages are'} not kept any more)" if count else ""


_cells: Cells | None = None


def watch(shell: InteractiveShell) -> None:
    """Number the cells that this kernel runs from now on. Calling it again does nothing. On the main thread."""
    global _cells
    if _cells is not None or getattr(shell, "kernel", None) is None:
        return
    _cells = cells = Cells(shell)
    calling_cell.id_of = front_end_id
    shell.events.register("pre_run_cell", lambda _info: cells.enter())
    cells.enter()
    # The cell that runs now may have redirected the streams already.
    own = getattr(shell, "_orig_sys_module_state", {})
    redirected.note(own.get("stdout", sys.stdout), own.get("stderr", sys.stderr))


def leave(execution_count: int | None) -> None:
    """Note that the running cell is about to end: messages that come later are not its own. On its thread."""
    if _cells is not None:
        _cells.leave(execution_count)


def hint() -> None:
    """Tell under the running cell of messages that its page may have missed. On its thread."""
    if _cells is not None:
        _cells.hint()


def print_rest() -> None:
    """Write what came after the last cell of a batch to the terminal of the client. At the end of the kernel."""
    if _cells is not None:
        _cells.print_rest()


def is_known(number: int) -> bool:
    """Return whether messages can be sent to a cell. Any thread."""
    return _cells is not None and _cells.parent(number) is not None


def prompt(number: int) -> str:
    """Return what the user calls a cell, such as "In[3]"; empty if it is not known any more. Any thread."""
    return _cells.prompt(number) if _cells is not None else ""


def front_end_id(number: int) -> str:
    """Return the id that the notebook gives a cell, the same one for each of its runs; empty if not known."""
    parent = _cells.parent(number) if _cells is not None else None
    metadata = (parent or {}).get("metadata") or {}
    return str(metadata.get("cellId") or "")


def is_busy() -> bool:
    """Return whether a cell runs now. Any thread."""
    return _cells is not None and _cells.is_busy


def ending() -> int:
    """Return the number of the cell that ends now, 0 for none. In a hook at the end of a cell."""
    return _cells.ending if _cells is not None else 0


def is_running(number: int) -> bool:
    """Return whether a cell runs now. Any thread."""
    return _cells is not None and _cells.is_running(number)


def is_batch(number: int) -> bool:
    """Return whether a batch client runs a cell, which keeps nothing that comes after its end. Any thread."""
    return _cells is not None and _cells.is_batch(number)


def publish(number: int, msg_type: str, content: dict[str, Any], is_kept: bool = True) -> bool:
    """Send a message that front ends show under a cell. Any thread. Returns whether that cell is known."""
    return _cells is not None and _cells.publish(number, msg_type, content, is_kept)


def running() -> Cells | None:
    """Return the cells of this kernel, None in a terminal."""
    return _cells
