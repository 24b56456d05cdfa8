"""A real terminal for a command: a pseudo terminal with a screen, as a person sees it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pexpect
import pyte
from command import TIMEOUT_S

from nbactors.testing import eventually

SCREEN_S = 25.0
"""Seconds to wait for a screen: less than a test may take, so that its error shows the screen."""


class Terminal:
    """A command with its screen. Keys go in by `press`; `shows` waits until the screen has a text."""

    def __init__(self, process: pexpect.spawn, columns: int, rows: int) -> None:  # type: ignore[type-arg]
        self.process = process
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.received = b""
        """All bytes of the command, with its escape sequences."""

    def press(self, keys: str) -> None:
        self.process.send(keys)

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def lines(self) -> list[str]:
        """Return the lines of the screen as it is now."""
        with suppress(pexpect.TIMEOUT, pexpect.EOF):
            while not self.process.closed:
                data = self.process.read_nonblocking(1 << 16, timeout=0)
                self.received += data
                self._stream.feed(data)
        return [line.rstrip() for line in self._screen.display]

    def text(self) -> str:
        return "\n".join(self.lines())

    def highlighted(self, *words: str) -> str:
        """Return the line in reverse video or bold that begins with one of the words."""
        for number, line in enumerate(self.lines()):
            if line.startswith(words):
                first = self._screen.buffer[number][0]
                if first.reverse or first.bold:
                    return line
        return ""

    def until(self, holds: Callable[[str], Any]) -> Any:
        """Wait until `holds`, given the screen's text, returns something true; return that."""
        try:
            return eventually(lambda: holds(self.text()), SCREEN_S)
        except TimeoutError:
            raise AssertionError(f"the screen shows:\n{self.text()}") from None

    def shows(self, *texts: str) -> str:
        """Wait until the screen has all texts, and return it."""
        screen: str = self.until(lambda shown: shown if all(text in shown for text in texts) else "")
        return screen

    def ends(self) -> int:
        """Wait until the command has ended, and return its exit code."""
        eventually(lambda: (self.lines(), not self.process.isalive())[1], TIMEOUT_S)
        self.process.close()
        status: int | None = self.process.exitstatus
        assert status is not None, f"ended by signal {self.process.signalstatus}"
        return status


@contextmanager
def terminal(*arguments: str, columns: int = 100, rows: int = 30, **environ: str) -> Iterator[Terminal]:
    """Run `nbactors` with these arguments in a terminal."""
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
    process = pexpect.spawn(
        sys.executable,
        ["-m", "nbactors.cli", *arguments],
        dimensions=(rows, columns),
        env={**kept, "TERM": "xterm-256color", **environ},
        timeout=TIMEOUT_S,
    )
    try:
        yield Terminal(process, columns, rows)
    finally:
        process.close(force=True)
