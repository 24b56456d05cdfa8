"""Further drivers: scripts in processes of their own that import the module under test by name."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

_TIMEOUT_S = 40.0


def worker_lines(text: str, label: str) -> list[str]:
    """Return what follows the prefix `(label pid=…)`, in order."""
    prefix = re.compile(rf"(?:\x1b\[\d+m)?\({label} pid=\d+\)(?:\x1b\[0m)? (.*)")
    return [match[1] for line in text.splitlines() if (match := prefix.match(line))]


class Driver:
    """One script that runs. What it prints is read line by line."""

    def __init__(self, script: Path, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            env=environ,
            cwd=script.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self) -> str:
        """Return the next line that the script prints for us: `say(...)`. Output of workers is passed over."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("say:"):
                return line.removeprefix("say:").strip()
        stderr = self._process.stderr.read() if self._process.stderr else ""
        raise AssertionError(f"the driver has ended without another word; its stderr:\n{stderr}")

    def printed(self, label: str, count: int, stream: str = "stdout") -> list[str]:
        """Wait until workers have printed `count` lines, and return them without their prefix `(label pid=…)`."""
        source = self._process.stdout if stream == "stdout" else self._process.stderr
        assert source is not None
        lines: list[str] = []
        while len(lines) < count and (line := source.readline()):
            lines += worker_lines(line, label)
        return lines

    def lines_with(self, text: str, count: int, stream: str = "stdout") -> list[str]:
        """Wait until lines with a text were printed, by anyone, and return them."""
        source = self._process.stdout if stream == "stdout" else self._process.stderr
        assert source is not None
        lines: list[str] = []
        while len(lines) < count and (line := source.readline()):
            lines += [line.rstrip("\n")] if text in line else []
        return lines

    def go_on(self) -> None:
        """Let the script pass its next `pause()`."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Kill it as the kernel would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(_TIMEOUT_S)

    def finish(self) -> tuple[str, str]:
        """Wait for its end and return what it printed: stdout, stderr. Fails unless it ended well."""
        stdout, stderr = self._process.communicate(timeout=_TIMEOUT_S)
        assert self._process.returncode == 0, f"exit code {self._process.returncode}; stderr:\n{stderr}"
        return stdout, stderr

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


class Drivers:
    """Starts scripts, and ends what is left of them."""

    def __init__(self, module_name: str, environ: dict[str, str], directory: Path) -> None:
        self._preamble = textwrap.dedent(f"""
            import os, signal, sys
            import {module_name} as ray
            from conformance.subjects import *

            def say(*words):
                print("say:", *words, flush=True)

            def pause():
                sys.stdin.readline()
        """)
        self._environ = environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.getcwd()])}
        self._directory = directory
        self._started: list[Driver] = []

    def start(self, source: str, **environ: str) -> Driver:
        script = self._directory / f"driver_{len(self._started)}.py"
        script.write_text(self._preamble + textwrap.dedent(source))
        driver = Driver(script, self._environ | environ)
        self._started.append(driver)
        return driver

    def run(self, source: str, **environ: str) -> tuple[str, str]:
        """Run a script to its end and return its stdout and stderr."""
        return self.start(source, **environ).finish()

    def end(self) -> None:
        for driver in self._started:
            driver.close()
