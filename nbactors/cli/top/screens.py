"""The screens over the view: a text, such as a stack or a log, and the question before an actor is ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from nbactors.cli.top import deeds

AGAIN_S = 1.0
"""Seconds between two looks at a text that changes."""


def in_thread(app: App[Any], work: Callable[[], str], done: Callable[[str, bool], None]) -> None:
    """Do something that may block in a thread, which ends with the process: a silent actor holds up no end of the app.

    Args:
        app: On whose thread `done` is called.
        work: Returns a text; raises one of `deeds.ERRORS`.
        done: Takes the text, and whether it is an error's.
    """

    def run() -> None:
        try:
            text, is_error = work(), False
        except deeds.ERRORS as error:
            text, is_error = str(error), True
        with suppress(RuntimeError):  # the app has ended meanwhile
            app.call_from_thread(done, text, is_error)

    threading.Thread(target=run, name="nbactors-top-deed", daemon=True).start()


class TextScreen(ModalScreen[None]):
    """Shows a text that a function returns, and asks again once a second.

    Args:
        title: The heading.
        source: Returns the text; runs in a thread.
        at_end: Whether the end of the text is shown, as of a log.
    """

    DEFAULT_CSS = """
    TextScreen > Static { text-style: bold; height: 1; background: $surface; }
    TextScreen > VerticalScroll { height: 1fr; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Back"),
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
    ]

    def __init__(self, title: str, source: Callable[[], str], at_end: bool) -> None:
        super().__init__()
        self._title = title
        self._source = source
        self._at_end = at_end
        self._text = ""
        self._is_asking = False

    def compose(self) -> ComposeResult:
        """Return the widgets. Called by textual."""
        yield Static(Text(f"{self._title}  (q: back)"), id="title")
        with VerticalScroll(id="scroll"):
            yield Static("…", id="text")

    def on_mount(self) -> None:
        """Ask for the text, now and again. Called by textual."""
        self._ask()
        self.set_interval(AGAIN_S, self._ask)

    def _ask(self) -> None:
        if not self._is_asking:
            self._is_asking = True
            in_thread(self.app, self._source, self._take)

    def _take(self, text: str, is_error: bool) -> None:
        self._is_asking = False
        if text == self._text or not self.is_attached:
            return
        scroll = self.query_one("#scroll", VerticalScroll)
        was_at_end = not self._text or scroll.scroll_offset.y >= scroll.max_scroll_y
        self._text = text
        self.query_one("#text", Static).update(Text.from_ansi(text))
        if self._at_end and was_at_end:
            self.call_after_refresh(scroll.scroll_end, animate=False)

    def action_scroll(self, lines: int) -> None:
        """Scroll. Called by textual."""
        self.query_one("#scroll", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_close(self) -> None:
        """Go back. Called by textual."""
        self.dismiss()


class KillScreen(ModalScreen[bool]):
    """Asks whether an actor is to be ended. The name of a detached one has to be typed.

    Args:
        label: The actor, with what it does.
        name: What has to be typed; empty if y is enough.
    """

    DEFAULT_CSS = """
    KillScreen { align: center middle; }
    KillScreen > Vertical { width: 70; max-width: 100%; height: auto; border: solid $error; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)"),
        Binding("n", "answer(False)"),
        Binding("y", "answer(True)"),
    ]

    def __init__(self, label: str, name: str) -> None:
        super().__init__()
        self._label = label
        self._name_to_type = name

    def compose(self) -> ComposeResult:
        """Return the widgets. Called by textual."""
        with Vertical():
            if self._name_to_type:
                question = f"End {self._label}?\nIt is detached: type {self._name_to_type} to end it (Esc: no)"
                yield Static(Text(question))
                yield Input(id="name")
            else:
                yield Static(Text(f"End {self._label}? (y/n)"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the name. Called by textual."""
        self.dismiss(event.value.strip() == self._name_to_type)

    def action_answer(self, agrees: bool) -> None:
        """Take the answer. Called by textual."""
        if not (agrees and self._name_to_type):
            self.dismiss(agrees)
