"""The process title of a worker, which `ps` and `top` show."""

from __future__ import annotations

from collections.abc import Callable

from setproctitle import getproctitle, setproctitle

REST_S = 0.05
"""Seconds for which the title of the last call stays. To set the title after each call, and before the next one, would
take a tenth of the time of a small call."""


def prepare() -> None:
    """Find the place of the title, which takes as long as many changes of it. A forked process has it then."""
    getproctitle()


def set_title(title: str) -> None:
    """Show `title`, such as `ray::Counter.increment`. Makes a system call."""
    setproctitle(title)


class ProcessTitle:
    """Shows the label of the call that runs. While no call runs, the label is empty, `REST_S` after the last call.

    Args:
        show: Shows a label.
        later: Calls a function on the leader's thread after the given seconds.
        now: Returns the label of the call that runs now; empty if none does.

    Attributes:
        label: The label that is shown.
    """

    __slots__ = ("_is_due", "_later", "_now", "_show", "label")

    def __init__(
        self,
        show: Callable[[str], None],
        later: Callable[[float, Callable[[], None]], object],
        now: Callable[[], str],
    ) -> None:
        self._show = show
        self._later = later
        self._now = now
        self._is_due = False
        self.label = ""

    def show(self, label: str) -> None:
        """Show a label. Any thread."""
        if label != self.label:
            self.label = label
            self._show(label)

    def rest(self) -> None:
        """Note that a call has ended. Any thread."""
        if self.label and not self._is_due:
            self._is_due = True
            self._later(REST_S, self._look)

    def _look(self) -> None:
        """Show that no call runs, if none does. The leader's thread."""
        self._is_due = False
        if self._now():  # the end of that call comes here again
            return
        self.show("")
        # A call that has begun meanwhile has perhaps found its own label still shown, and has left it.
        label = self._now()
        if label:
            self.label = label
            self._show(label)
