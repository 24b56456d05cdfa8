"""Gathers equal lines of several workers: the first is shown at once, and the others as one line with their number.

Lines count as equal if only their digits differ, as in Ray. Lines of one worker are never gathered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nbactors.local.wire import messages

WINDOW_S = 5.0
"""Seconds from the first of some equal lines for which the others are gathered."""

_DIGITS = re.compile(r"\d+")


class _Line:
    """A line that was shown, and the last of those that are equal to it.

    Attributes:
        pid: The worker that has written the first.
        until: The monotonic time at which the others are shown.
        last: The output that the last one has come with, and the line itself.
        count: The number of lines that are not shown.
    """

    __slots__ = ("count", "last", "pid", "until")

    def __init__(self, pid: int, until: float) -> None:
        self.pid = pid
        self.until = until
        self.last: tuple[messages.Output, str] | None = None
        self.count = 0


class RepeatedLines:
    """The lines of the last seconds. The caller passes the time in, and shows what it gets. One thread at a time."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, int, str], _Line] = {}

    def take(self, output: messages.Output, now: float) -> str:
        """Return the part of an output that is to be shown now."""
        shown = []
        for line in output.text.splitlines(keepends=True):
            key = (output.origin, output.stream, _DIGITS.sub("0", line))
            known = self._lines.get(key)
            if known is None:
                self._lines[key] = _Line(output.pid, now + WINDOW_S)
                shown.append(line)
            elif output.pid == known.pid:
                shown.append(line)
            else:
                known.count += 1
                known.last = (output, line)
        return "".join(shown)

    def until(self) -> float | None:
        """Return the time at which `due` has something to do next; None if there are no lines."""
        return min((line.until for line in self._lines.values()), default=None)

    def due(self, now: float) -> Iterator[tuple[messages.Output, str]]:
        """Forget the lines whose time is over; yield an output and the text to show in its place for gathered ones."""
        for key, line in list(self._lines.items()):
            if line.until <= now:
                del self._lines[key]
                if line.last is not None:
                    output, text = line.last
                    text = text.removesuffix("\n")
                    yield output, f"{text} [repeated {line.count}x across workers]\n"
