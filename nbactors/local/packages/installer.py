"""Makes the environment of a runtime_env's "pip" or "uv", and tells the user how that goes."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from nbactors.exceptions import RuntimeEnvSetupError
from nbactors.frontend import calling_cell
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.local.access import discovery
from nbactors.local.packages import cache, program
from nbactors.runtime_env.requirements import Requirements

FORMAT = 1
"""To be raised when environments are made in another way, so that older ones are not used."""

REMEMBER_S = 10.0
"""Seconds for which a failure counts for further calls of the same cell, so that each call of a loop does not take as
long as the first. As in Ray."""

_failures: dict[str, tuple[float, int, str]] = {}
"""The time, the cell and the text of the last failure, by the path of the environment."""

TICK_S = 0.2
"""Seconds between two looks at the clock and at interrupts."""

SAY_S = 15.0
"""Seconds between two lines that tell how far the installer is."""

KILLED_S = 5.0
"""Seconds that killed processes may take to end, for instance on a slow disk."""

MAX_FAILURES = 100
"""Most failures that are remembered."""

MAX_OUTPUT = 200_000
"""Most characters of the installer's output in an error: the first and last halves of them."""


def environment(requirements: Requirements, timeout_s: float) -> str:
    """Return the directory of the packages in an environment with them; make it if there is none. Blocks. Any thread.

    Raises:
        RuntimeEnvSetupError: The packages cannot be installed, or not within the limit, or this has just failed.
        KeyboardInterrupt: An interrupt has ended the installation. Nothing of it stays.
    """
    sites = _sites()
    interpreter = discovery.interpreter()
    facts = [FORMAT, requirements._replace(directory=""), sys.version, os.path.realpath(interpreter), sites]
    if requirements.files or any("./" in line for line in requirements.lines):
        facts.append(requirements.directory)
    path = os.path.join(cache.root(), "environments", cache.key_of(facts))
    if cache.is_whole(path):
        return program.site_of(path)
    begun = monotonic()
    deadline = begun + timeout_s
    failed_at, cell, failure = _failures.get(path, (0.0, 0, ""))
    if failure and cell == calling_cell.current() and begun < failed_at + REMEMBER_S:
        raise RuntimeEnvSetupError(failure)
    names = _short(", ".join(line for line in requirements.lines if not line.startswith("-")))

    def say(text: str) -> None:
        _show(f"runtime_env [{names}]: {text}")

    def fill(lock: int) -> None:
        say(f"installing with {requirements.tool}, once for this list of packages …")
        order = {**requirements._asdict(), "place": path, "sites": sites}
        try:
            _Installation(order, lock, requirements.tool, deadline, timeout_s, say).run()
        except BaseException:
            say(f"ended without success after {monotonic() - begun:.1f} s")
            raise
        say(f"ready after {monotonic() - begun:.1f} s")

    try:
        cache.make(path, fill, deadline, say)
    except RuntimeEnvSetupError as error:
        if len(_failures) >= MAX_FAILURES:
            _failures.clear()
        _failures[path] = (monotonic(), calling_cell.current(), error.error_message or "")
        raise
    return program.site_of(path)


def _sites() -> list[str]:
    """Return the directories with the session's installed packages. An environment finds them after its own."""
    found = []
    for entry in sys.path:
        if isinstance(entry, str) and os.path.basename(entry) in ("site-packages", "dist-packages"):
            path = os.path.abspath(entry)
            if path not in found and not path.startswith(os.path.join(cache.root(), "")):
                found.append(path)
    return found


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}…"


def _show(text: str) -> None:
    try:
        print(f"nbactors: {text}", file=sys.stderr, flush=True)
    except (AttributeError, OSError, ValueError, RuntimeError):  # closed, or of a program that has none
        pass


class _Installation:
    """One run of the installer's program.

    Args:
        order: What the program gets.
        lock: The descriptor of the lock, which all its processes keep: nobody else begins before they have ended.
        tool: "pip" or "uv".
        deadline: The monotonic time of its end.
        timeout_s: The limit in seconds.
        say: Shows a line to the user.
    """

    def __init__(
        self,
        order: Mapping[str, Any],
        lock: int,
        tool: str,
        deadline: float,
        timeout_s: float,
        say: Callable[[str], None],
    ) -> None:
        self._order = order
        self._lock = lock
        self._tool = tool
        self._deadline = deadline
        self._timeout_s = timeout_s
        self._say = say
        self._output = bytearray()

    def run(self) -> None:
        """Run it to its end."""
        process = subprocess.Popen(
            [discovery.interpreter(), "-I", "-u", program.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(self._lock,),
        )
        try:
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(self._order).encode() + b"\n")
                process.stdin.flush()
            except BrokenPipeError:  # it has ended at once; its output says why
                pass
            self._read(process)
            status = process.wait()
        finally:
            _end(process)
        if status:
            raise RuntimeEnvSetupError(
                f"{self._tool} could not install {list(self._order['lines'])}. Nothing of it is kept: after "
                f"{REMEMBER_S:g} s, or in another cell, the next call tries again. All that it has written:\n"
                f"{self._text()}"
            )

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        begun, passed = monotonic(), INTERRUPTS.passed
        said = begun
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                ready = cache.pause(selector.select, TICK_S)
                cache.raise_interrupts(passed)
                now = monotonic()
                if ready:
                    data = os.read(process.stdout.fileno(), 1 << 16)
                    if not data:
                        return
                    self._output += data
                elif process.poll() is not None:  # a process that it has left keeps the pipe open
                    return
                if now > self._deadline:
                    limit = f"{round(self._timeout_s, 1):g} s"  # without the moments that preparations have taken
                    raise RuntimeEnvSetupError(
                        f"{self._tool} has not installed {list(self._order['lines'])} within {limit}. "
                        "Nothing of it is kept. Raise the limit: runtime_env={'config': {'setup_timeout_seconds': "
                        f"...}}}}. All that it has written:\n{self._text()}"
                    )
                if now - said > SAY_S:
                    said = now
                    last = self._text().strip().rpartition("\n")[2]
                    self._say(f"still installing after {now - begun:.0f} s: {_short(last)}")

    def _text(self) -> str:
        text = self._output.decode(errors="replace")
        half = MAX_OUTPUT // 2
        return text if len(text) <= MAX_OUTPUT else f"{text[:half]}\n[…]\n{text[-half:]}"


def _await_end_of(process: subprocess.Popen[bytes]) -> None:
    """Wait until all killed processes have closed the pipe: they write no file any more."""
    assert process.stdout is not None
    limit = monotonic() + KILLED_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while monotonic() < limit:
            if selector.select(TICK_S) and not os.read(process.stdout.fileno(), 1 << 16):
                return


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the program with all that it has started, unless it has ended, and close its pipes."""
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        _await_end_of(process)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:  # what was not written to it has no reader any more
                pass
