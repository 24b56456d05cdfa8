"""`TopApp`: the view of `nbactors top`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.notifications import SeverityLevel
from textual.widgets import Footer, Input, Static

from nbactors import byte_sizes
from nbactors.cli import exit_codes
from nbactors.cli.top import deeds
from nbactors.cli.top.board import ActorLine, CallLine
from nbactors.cli.top.columns import Column
from nbactors.cli.top.grid import Grid, GridRow
from nbactors.cli.top.ordering import ORDERS, Usage, arranged
from nbactors.cli.top.reader import PACE_S, Reader
from nbactors.cli.top.screens import KillScreen, TextScreen, in_thread
from nbactors.version import __version__
from nbactors.views.bar import clock

SILENT_S = 3.0
"""Seconds without an answer of the node after which the view says so."""

_ACTORS = (
    Column("name", 12, 3),
    Column("state", 10, 3),
    Column("time", 8, is_right=True),
    Column("calls", 7, is_right=True),
    Column("class", 10, 2),
    Column("cpu", 5, is_right=True),
    Column("memory", 9, is_right=True),
    Column("pid", 8, is_right=True),
    Column("namespace", 10, 2),
)
_CALLS = (Column("call", 10), Column("name", 14, 3), Column("state", 8, 2), Column("time", 8, is_right=True))


class TopApp(App[None]):
    """The view. Methods run on the app's thread.

    Attributes:
        failure: An error of the view itself, which the command reports.

    Args:
        reader: What is shown; the app starts and closes it.
    """

    CSS = """
    #head { height: 1; text-style: bold; }
    #lost { height: auto; display: none; background: $warning; color: $text; }
    #filter { height: 1; border: none; padding: 0; display: none; }
    #calls { height: 30%; min-height: 3; border-top: solid $secondary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cancel_call", "Cancel call"),
        Binding("i", "interrupt", "Interrupt"),
        Binding("k", "kill", "Kill"),
        Binding("s", "stack", "Stack"),
        Binding("l", "log", "Log"),
        # Before the focused widget, or keys that are typed at once after it would go there instead of to the filter.
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("o", "order", "Order"),
        Binding("r", "reverse", "Reverse"),
        Binding("tab", "app.focus_next", "Calls", show=False),
        Binding("q", "quit", "Quit"),
        Binding("escape", "no_filter", show=False),
        Binding("ctrl+c", "interrupted", show=False, priority=True),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self._reader = reader
        self._shown = (-1, "", False, "", "")
        self._order = next(iter(ORDERS))
        self._is_reversed = False
        self._lines: dict[str, ActorLine] = {}
        self._calls: dict[str, CallLine] = {}

    def compose(self) -> ComposeResult:
        """Return the widgets. Called by textual."""
        yield Static(id="head")
        yield Static(id="lost")
        yield Input(id="filter", placeholder="words of a name, class, state, namespace, id or pid")
        yield Grid(_ACTORS, id="actors")
        yield Grid(_CALLS, id="calls")
        yield Footer()

    def on_mount(self) -> None:
        """Begin. Called by textual."""
        self._reader.start()
        self._actors.focus()
        self.set_interval(PACE_S, self._update)

    @property
    def _actors(self) -> Grid:
        return self.query_one("#actors", Grid)

    @property
    def _open_calls(self) -> Grid:
        return self.query_one("#calls", Grid)

    # ------------------------------------------------------------------------------------------------------ showing

    @on(Grid.Selected)
    def _update(self) -> None:
        """Show what has changed. Four times a second, and when the user has done something."""
        if self._reader.failure is not None:
            self._handle_exception(self._reader.failure)
        if len(self.screen_stack) > 1:  # a screen covers the view
            return
        view, now = self._reader.view, time.time()
        lines = arranged(view.lines, view.usages, self._order, self._is_reversed, self._filter.value)
        self._lines = {line.actor_id: line for line in lines}
        mark = {self._order: "▼" if self._is_reversed else "▲"}
        self._actors.show([_actor_row(line, view.usages, now) for line in lines], mark)
        keys = self._actors.visible_keys()
        self._reader.watch([self._lines[key].pid for key in keys if key in self._lines and self._lines[key].pid])
        calls = self._reader.calls(self._actors.key) if self._actors.key else []
        self._calls = {call.task_id: call for call in calls}
        self._open_calls.show([_call_row(call, now) for call in calls])
        self._tell(len(lines), len(view.lines), now)

    def _tell(self, shown: int, known: int, now: float) -> None:
        """Write the line at the top, and the one about a node that has gone."""
        view = self._reader.view
        resources, free = view.node.get("resources", {}), view.node.get("available", {})
        parts = [
            f"nbactors {__version__}",
            f"{shown} of {known} actors" if shown < known else f"{known} actor{'' if known == 1 else 's'}",
            f"{sum(line.rank == 0 for line in view.lines)} busy",
        ]
        if view.tasks:
            parts.append(f"{view.tasks} task{'' if view.tasks == 1 else 's'}")
        if "CPU" in resources:
            parts.append(f"{max(free.get('CPU', 0.0), 0.0):g} of {resources['CPU']:g} CPUs free")
        self.query_one("#head", Static).update(Text(", ".join(parts), overflow="ellipsis", no_wrap=True))
        lost = self.query_one("#lost", Static)
        lost_at = view.lost_at or (self._reader.round_at if now - self._reader.round_at > SILENT_S else 0.0)
        lost.display = bool(lost_at)
        if lost_at:
            why = "No node runs" if view.lost_at and not view.problem else "The node does not answer"
            age = clock(max(now - lost_at, 0.0))
            more = f" ({view.problem})" if view.problem else ""
            lost.update(Text(f"{why}{more}: this was the state {age} ago. The next node is shown when it comes."))

    # ------------------------------------------------------------------------------------------- filter and order

    @property
    def _filter(self) -> Input:
        return self.query_one("#filter", Input)

    def action_filter(self) -> None:
        """Open the filter, or write the slash into a field that is open already. Called by textual."""
        if isinstance(self.focused, Input):
            self.focused.insert_text_at_cursor("/")
            return
        if len(self.screen_stack) > 1:  # a text covers the view
            return
        self._filter.display = True
        self.screen.set_focus(self._filter)  # at once: what is typed next belongs to the filter

    def action_no_filter(self) -> None:
        """Close the filter, and show all actors again. Called by textual."""
        self._filter.value = ""
        self._filter.display = False
        self._actors.focus()
        self._update()

    @on(Input.Changed, "#filter")
    def _filter_changed(self) -> None:
        self._update()

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self._filter.display = bool(self._filter.value)
        self._actors.focus()

    def action_order(self) -> None:
        """Take the next order. Called by textual."""
        names = list(ORDERS)
        self._take_order(names[(names.index(self._order) + 1) % len(names)])

    def action_reverse(self) -> None:
        """Turn the order round. Called by textual."""
        self._is_reversed = not self._is_reversed
        self._update()

    @on(Grid.HeadClicked)
    def _head_clicked(self, event: Grid.HeadClicked) -> None:
        if event.title == self._order:
            self.action_reverse()
        elif event.title in ORDERS:
            self._take_order(event.title)

    def _take_order(self, order: str) -> None:
        self._order, self._is_reversed = order, False
        self._update()
        self.notify(f"in the order of: {order}", timeout=2)

    # ---------------------------------------------------------------------------------------------------- doing

    def _chosen(self) -> ActorLine | None:
        line = self._lines.get(self._actors.key)
        if line is None:
            self.notify("No actor is selected.", timeout=3)
        return line

    def _do(self, label: str, deed: Callable[[], str]) -> None:
        """Do something in a thread, and tell how it went."""

        def done(text: str, is_error: bool) -> None:
            severity: SeverityLevel = "error" if is_error else "information"
            self.notify(f"{label}: {text}", severity=severity, markup=False)

        in_thread(self, deed, done)

    def action_cancel_call(self) -> None:
        """Cancel the selected call. Called by textual."""
        call = self._calls.get(self._open_calls.key)
        if call is None:
            self.notify("No call is selected: Tab leads to the calls of the selected actor.", timeout=3)
            return
        self._do(f"{call.short_id} {call.name}", lambda: deeds.cancel(call.task_id))

    def action_interrupt(self) -> None:
        """Interrupt the selected actor. Called by textual."""
        line = self._chosen()
        if line is not None:
            self._do(_label(line), lambda: deeds.interrupt(line.actor_id))

    def action_kill(self) -> None:
        """Ask, and end the selected actor. Called by textual."""
        line = self._chosen()
        if line is None:
            return

        def answered(agrees: bool | None) -> None:
            if agrees:
                self._do(_label(line), lambda: deeds.kill(line.actor_id))
            else:
                self.notify(f"{_label(line)} lives on.", timeout=3, markup=False)

        count = line.running + line.waiting
        about = f"{_label(line)} (namespace {line.namespace}, {count} open call{'' if count == 1 else 's'})"
        self.push_screen(KillScreen(about, line.name if line.is_detached else ""), answered)

    def action_stack(self) -> None:
        """Show the stack of the selected actor. Called by textual."""
        line = self._chosen()
        if line is not None:
            self.push_screen(TextScreen(f"Stack of {_label(line)}", lambda: deeds.stack(line.actor_id), False))

    def action_log(self) -> None:
        """Show the log of the selected actor. Called by textual."""
        line = self._chosen()
        if line is not None:
            self.push_screen(TextScreen(f"Log of {_label(line)}", lambda: deeds.log(line.actor_id), True))

    # --------------------------------------------------------------------------------------------------- ending

    def action_interrupted(self) -> None:
        """End by Ctrl-C. Called by textual."""
        self.exit(return_code=exit_codes.INTERRUPTED)

    def on_unmount(self) -> None:
        """End the reader. Called by textual."""
        self._reader.close()

    def _handle_exception(self, error: Exception) -> None:
        """End with an error, which the command tells in a sentence, instead of textual's traceback."""
        self.failure = self.failure or error
        self.exit(return_code=exit_codes.FAILED)


def _label(line: ActorLine) -> str:
    return f"{line.class_name} {line.name}"


def _actor_row(line: ActorLine, usages: Mapping[int, Usage], now: float) -> GridRow:
    usage = usages.get(line.pid)
    open_calls = f"{line.running}+{line.waiting}" if line.running or line.waiting else ""
    cells = (
        line.name,
        line.does,
        clock(max(now - line.since, 0.0)) if line.since else "",
        open_calls,
        line.class_name,
        f"{usage.cpu:.0%}" if usage else "",
        byte_sizes.shown(usage.memory) if usage else "",
        str(line.pid or "-"),
        line.namespace + (" (detached)" if line.is_detached else ""),
    )
    return GridRow(line.actor_id, cells, line.rank == 2)


def _call_row(call: CallLine, now: float) -> GridRow:
    return GridRow(
        call.task_id, (call.short_id, call.name, call.state, clock(max(now - call.since, 0.0)) if call.since else "")
    )
