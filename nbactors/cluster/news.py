"""`News`: shows in a session what its workers report."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from nbactors.cluster.common.timing import later
from nbactors.cluster.common.waiting_call import WaitingCall
from nbactors.cluster.observing.actor_rows import has_worker_ended
from nbactors.cluster.observing.open_bars import OpenBars
from nbactors.cluster.observing.task_table import TaskTable
from nbactors.frontend.bar import BarState
from nbactors.frontend.sink import DROPPED, Display, Output, Paused, Sink, Unmade, UnreadError
from nbactors.frontend.text_stream import is_terminal, write_now
from nbactors.frontend.unread_printer import UnreadPrinter


class News:
    """Hands reports to the sink of a front end, and prints them where there is none. One thread at a time.

    Args:
        shows_output: Whether the output of workers is shown.
        has_prefix: Whether each line begins with the prefix of its worker.

    Attributes:
        shows_output: See above.
        sink: The front end's; None to print.
        actors: What actors have told of themselves, by their ids.
        task_table: The calls that workers have reported.
    """

    def __init__(self, shows_output: bool, has_prefix: bool) -> None:
        self.sink: Sink | None = None
        self.actors: dict[bytes, dict[str, Any]] = {}
        self.task_table = TaskTable()
        self.shows_output = shows_output
        self._has_prefix = has_prefix
        self._bars = OpenBars(self._bar, has_worker_ended)
        self._printing = threading.Lock()
        self._printer = UnreadPrinter(lambda seconds, write: later(seconds, partial(self._print, write)))

    def show(self, kind: str, source: Any, content: Any) -> None:
        """Show a report.

        Args:
            kind: What it is.
            source: The label and the pid of the worker.
            content: What the worker has sent; its form depends on the kind.
        """
        label, pid = source
        if kind == "output":
            if self.shows_output:
                for cell, stream, text in content:
                    self._output(Output(cell, label, pid, stream, text, self._has_prefix))
        elif kind == "actor":
            self.actors[content["actor_id"]] = content
        elif kind == "events":
            self.task_table.take(content)
        elif kind == "unmade" and self.sink is not None:
            self.sink.unmade(Unmade(*content))
        elif kind == "bar":
            self._bars.take(BarState(*content))
        elif kind == "paused":
            later(0.0, partial(self._paused, label, pid, WaitingCall(*content)))  # the way to the worker may be long
        elif kind == "display" and self.sink is not None:
            cell, packed, update, clear = content
            shown = json.loads(packed)
            self.sink.display(
                Display(
                    cell, shown.get("data", {}), shown.get("metadata", {}), shown.get("transient", {}), update, clear
                )
            )

    def _paused(self, label: str, pid: int, call: WaitingCall) -> None:
        connection = call.connection()
        if connection is not None and self.sink is not None:
            self.sink.paused(Paused(call.cell, label, pid, call.where, connection, call.asks))
        elif connection is not None:
            connection.close()

    def _bar(self, state: BarState) -> None:
        if self.sink is not None:
            self.sink.bar(state)

    def _output(self, output: Output) -> None:
        if self.sink is not None:
            self.sink.output(output)
            return
        stream = sys.stdout if output.stream == 1 else sys.stderr
        write_now(stream, output.lines(is_terminal(stream)))

    def warn(self, text: str) -> None:
        """Show a warning of the runtime's. Any thread."""
        write_now(sys.stderr, f"nbactors: {text}\n")

    def unread(self, error: UnreadError) -> None:
        """Show the error of a call whose last reference is gone, and which no code has read. Any thread."""
        if self.sink is not None and error.cell:
            self.sink.unread(error, DROPPED)
            return
        self._print(partial(self._printer.take, error, DROPPED))

    def close(self) -> None:
        """Print the errors that wait for others of their kind, and use Ray no more. Any thread."""
        self._bars.close()
        self._print(self._printer.flush)

    def _print(self, action: Callable[[], None]) -> None:
        with self._printing:
            action()
