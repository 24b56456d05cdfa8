"""A session whose processes can all be found, of nbactors or of Ray."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from nbactors.benchmark.bench import Bench, Effort
from nbactors.benchmark.subject import Runtime

if TYPE_CHECKING:
    from nbactors.benchmark.limits import Limits

LEAVE_S = 10.0
WORKLOADS = str(Path(__file__).with_name("workloads.py"))

PROBE = """
import importlib, platform, sys
print(importlib.import_module(sys.argv[1]).__version__, platform.python_version())
"""


class RuntimeMissingError(Exception):
    """A runtime to compare with cannot be imported; the text says what to do."""


@dataclass(frozen=True)
class MoreEffort(Effort):
    """How much is measured, of the further rows too."""

    array_bytes: int = 800_000_000  # the size of the large array
    fleet: int = 0  # live actors of the row with many of them, 0 to leave it out


@dataclass(frozen=True)
class Measured(Runtime):
    """A runtime that is measured, and its version."""

    script: str = WORKLOADS
    version: str = ""  # of the module, and of the interpreter

    def environment(self, directory: str) -> dict[str, str]:
        """See the base class."""
        environ = super().environment(directory)
        if self.module == "ray":
            environ |= {"RAY_TMPDIR": directory, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
        return environ


class MarkedBench(Bench):
    """Also finds all processes that work in its directory, and ends those that do not leave by themselves."""

    effort: MoreEffort
    runtime: Measured

    def __init__(self, effort: MoreEffort, limits: Limits | None, runtime: Measured) -> None:
        super().__init__(effort, limits, runtime)
        # They inherit this variable, wherever they hang in the process tree.
        self._mark = f"NBACTORS_BENCHMARK_{os.urandom(8).hex()}"

    def environment(self) -> dict[str, str]:
        """See the base class."""
        return {**super().environment(), self._mark: "1"}

    def end_session(self) -> None:
        """See the base class."""
        super().end_session()
        _, living = psutil.wait_procs(self.processes(), LEAVE_S)
        for process in living:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(living, LEAVE_S)

    def processes(self) -> list[psutil.Process]:
        """Return the living processes that work here."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if self._mark in process.environ():
                    found.append(process)
        return found


def own() -> Measured:
    """Return nbactors in this interpreter."""
    return _probe("nbactors", sys.executable)


def ray(python: str | None) -> Measured:
    """Return Ray in the interpreter `python`, or in this one.

    Raises:
        RuntimeMissingError: It has no Ray.
    """
    if python is None and importlib.util.find_spec("ray") is None:
        raise RuntimeMissingError(
            f"--compare ray: Ray is not installed for {sys.executable}. Name an interpreter that has it with "
            "--ray-python PATH; an environment of its own is best: "
            "python3 -m venv .venv-ray && .venv-ray/bin/pip install 'ray==2.60.*' numpy"
        )
    return _probe("ray", python or sys.executable)


def _probe(module: str, python: str) -> Measured:
    try:
        done = subprocess.run([python, "-c", PROBE, module], capture_output=True, text=True, check=True)
    except OSError as error:
        raise RuntimeMissingError(f"{python} cannot be run ({error.strerror}): name a Python interpreter") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:] or [f"exit status {error.returncode}"]
        raise RuntimeMissingError(
            f"{python} cannot import {module} ({last[0]}): install it there, or name another interpreter"
        ) from error
    version, python_version = done.stdout.split()
    return Measured(module, python, version=f"{module} {version} on Python {python_version}")
