"""Running the command line, and programs beside it, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TIMEOUT_S = 40.0

SAY_READY = "sys.stdout.write('ready\\n')\nsys.stdout.flush()\n"
"""`print` writes the text and the newline in two steps. On Python 3.11 a garbage collection may run between the steps,
and then another thread, which prints an actor's line there."""


def nbactors(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "nbactors.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@contextmanager
def program(source: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program that prints "ready" when the test may go on, and ends when its stdin is closed."""
    source = f"import sys\nimport nbactors as ray\n{source}\n{SAY_READY}sys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "ready\n":
                break
        else:
            assert process.stderr is not None
            raise AssertionError(process.stderr.read())
        yield process
        process.communicate(timeout=TIMEOUT_S)
