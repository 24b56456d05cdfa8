"""A session of nbactors or of Ray whose processes can all be found."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from nbactors.benchmark.bench import Bench, Effort
from nbactors.benchmark.subject import Runtime

if TYPE_CHECKING:
    from nbactors.benchmark.limits import Limits

LEAVE_S = 10.0
CHECKOUT = Path(__file__).parent.parent
WORKLOADS = str(Path(__file__).with_name("workloads.py"))

PROBE = """
import importlib, platform, sys
print(importlib.import_module(sys.argv[1]).__version__, platform.python_version())
"""


class RuntimeMissingError(Exception):
    """Raised if a runtime cannot be imported. The text says what to do."""


@dataclass(frozen=True)
class MoreEffort(Effort):
    """Number and length of the measurements, including those of the further rows."""

    array_bytes: int = 800_000_000  # size of the large array
    fleet: int = 0  # number of actors in the rows with many actors, 0 to leave these rows out


@dataclass(frozen=True)
class Measured(Runtime):
    """A measured runtime with its version."""

    script: str = WORKLOADS
    version: str = ""  # names and versions of the module and the interpreter
    is_on_ray: bool = False  # the engine on Ray, in an interpreter that has Ray

    def environment(self, directory: str) -> dict[str, str]:
        """See the base class."""
        environ = super().environment(directory)
        if self.module == "ray" or self.is_on_ray:
            environ |= {"RAY_TMPDIR": directory, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
        if self.is_on_ray:
            path = os.pathsep.join(filter(None, [str(CHECKOUT), environ.get("PYTHONPATH")]))
            environ |= {"NBACTORS_ENGINE": "ray", "PYTHONPATH": path}
        return environ


class MarkedBench(Bench):
    """A `Bench` that finds all processes of its session, and kills those that do not end by themselves."""

    effort: MoreEffort
    runtime: Measured

    def __init__(self, effort: MoreEffort, limits: Limits | None, runtime: Measured) -> None:
        super().__init__(effort, limits, runtime)
        # All processes of the session inherit this environment variable, also those with another parent process.
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
        """Return the living processes of the session."""
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if self._mark in process.environ():
                    found[process.pid] = process
                    # A process title may have taken the place of a worker's environment variables.
                    found.update({child.pid: child for child in process.children(recursive=True)})
        return list(found.values())


def own() -> Measured:
    """Return this interpreter's nbactors as a runtime."""
    return _probe("nbactors", sys.executable)


def ray(python: str | None) -> Measured:
    """Return the Ray of the interpreter `python`, or of this interpreter, as a runtime.

    Raises:
        RuntimeMissingError: The interpreter cannot import Ray.
    """
    if python is None and importlib.util.find_spec("ray") is None:
        raise RuntimeMissingError(
            f"--compare ray: Ray is not installed for {sys.executable}. Name an interpreter that has it with "
            "--ray-python PATH; an environment of its own is best: "
            "python3 -m venv .venv-ray && .venv-ray/bin/pip install 'ray==2.60.*' numpy"
        )
    return _probe("ray", python or sys.executable)


def on_ray(theirs: Measured) -> Measured:
    """Return this checkout's engine on Ray as a runtime, in the interpreter that has Ray."""
    return replace(_probe("nbactors", theirs.python), is_on_ray=True)


def _probe(module: str, python: str) -> Measured:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), os.getenv("PYTHONPATH")]))}
    try:
        done = subprocess.run([python, "-c", PROBE, module], capture_output=True, text=True, check=True, env=environ)
    except OSError as error:
        raise RuntimeMissingError(f"{python} cannot be run ({error.strerror}): name a Python interpreter") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:] or [f"exit status {error.returncode}"]
        raise RuntimeMissingError(
            f"{python} cannot import {module} ({last[0]}): install it there, or name another interpreter"
        ) from error
    version, python_version = done.stdout.split()
    return Measured(module, python, version=f"{module} {version} on Python {python_version}")
