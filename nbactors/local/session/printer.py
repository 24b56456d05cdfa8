"""The output of workers and the node's warnings, as the user of a session sees them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from time import monotonic
from typing import Any

from nbactors.frontend.sink import Output, Sink
from nbactors.frontend.text_stream import is_terminal, write_now
from nbactors.local.session.repeated_lines import RepeatedLines
from nbactors.local.wire import ids, messages

_NOWHERE = "nbactors"
"""Stands for a file, as filters of warnings see it."""


class Printer:
    """Hands the output of workers to the sink, or prints it where no front end has set one.

    Runs on the leader's thread: the main thread while that waits, else the background thread.

    Args:
        has_prefix: Whether each line begins with the prefix of its worker.
        gathers: Whether equal lines of several workers are gathered.

    Attributes:
        sink: The front end's; None to print the output.
        call_later: The reactor's method of that name, with which gathered lines are shown in time.
    """

    def __init__(self, has_prefix: bool, gathers: bool = False) -> None:
        self.sink: Sink | None = None
        self.call_later: Callable[[float, Callable[[], None]], Any] | None = None
        self._has_prefix = has_prefix
        self._repeated = RepeatedLines() if gathers else None
        self._is_armed = False
        self._closed = False

    def show(self, message: Any) -> None:
        """Show an `Output` or a `Warn`; ignore other messages."""
        if type(message) is messages.Output:
            if self._repeated is None:
                self._show(message, message.text)
                return
            text = self._repeated.take(message, monotonic())
            if text:
                self._show(message, text)
            self._arm()
        elif type(message) is messages.Warn:
            _warn(message.text)

    def _show(self, message: messages.Output, text: str) -> None:
        cell = ids.cell_of(message.origin)
        output = Output(cell, message.label, message.pid, message.stream, text, self._has_prefix)
        if self.sink is not None:
            self.sink.output(output)
            return
        stream = sys.stdout if message.stream == 1 else sys.stderr
        write_now(stream, output.lines(is_terminal(stream)))

    def _arm(self) -> None:
        """Have gathered lines shown when their time is over."""
        until = self._repeated.until() if self._repeated is not None else None
        if until is not None and self.call_later is not None and not self._is_armed:
            self._is_armed = True
            self.call_later(max(until - monotonic(), 0.0), self._show_gathered)

    def _show_gathered(self) -> None:
        self._is_armed = False
        self._show_due(monotonic())
        self._arm()

    def _show_due(self, now: float) -> None:
        if self._repeated is not None:
            for message, text in self._repeated.due(now):
                self._show(message, text)

    def node_lost(self, why: str) -> None:
        """Print why the node is gone, unless the session is closed."""
        if not self._closed:
            write_now(sys.stderr, f"nbactors: {why}\n")

    def open(self) -> None:
        """Report the end of the node from now on: the session is open."""
        self._closed = False

    def close(self) -> None:
        """Stay silent about the end of the node: the session ends on purpose, or is not open yet.

        Lines that are gathered are shown now.
        """
        self._closed = True
        self._show_due(float("inf"))


def _warn(text: str) -> None:
    """Show a warning that no line of the user's has caused: without the place that Python would show before it."""
    line = f"nbactors: {text}\n"
    before = warnings.formatwarning

    def formatted(message: Warning | str, category: type[Warning], filename: str, *rest: Any, **more: Any) -> str:
        return line if filename == _NOWHERE else before(message, category, filename, *rest, **more)

    warnings.formatwarning = formatted  # other threads may warn meanwhile
    try:
        warnings.warn_explicit(text, UserWarning, _NOWHERE, 0)
    except UserWarning:
        # The user has made warnings errors, but no call of the user's runs here that could raise it.
        write_now(sys.stderr, line)
    finally:
        warnings.formatwarning = before
