"""A runtime that is measured: which module, in which interpreter."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass

PROBE = """
import importlib, platform, sys
print(importlib.import_module(sys.argv[1]).__version__, platform.python_version())
"""


class RuntimeMissingError(Exception):
    """A runtime to compare with cannot be imported; the text says what to do."""


@dataclass(frozen=True)
class Runtime:
    """One of the runtimes that run the same work.

    Attributes:
        module: What the work imports, "nbactors" or "ray".
        python: Path of the interpreter that has it.
        version: Of the module, and of the interpreter.
    """

    module: str
    python: str
    version: str

    def environment(self, directory: str, mark: str) -> dict[str, str]:
        """Return the environment for a process of this runtime whose files lie in `directory`.

        `mark` is a variable's name that all its processes inherit. Nobody comes back to the directory, so a node has
        nothing to linger for. Modules are to be compiled once, as they are for
        users; some test machines ask Python not to.
        """
        environ = {**os.environ, mark: "1"}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        if self.module == "ray":
            return {**environ, "RAY_TMPDIR": directory, "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
        return {**environ, "NBACTORS_DIR": directory, "NBACTORS_LINGER_S": "0"}


def own() -> Runtime:
    """Return nbactors in this interpreter."""
    return _probe("nbactors", sys.executable)


def ray(python: str | None) -> Runtime:
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


def _probe(module: str, python: str) -> Runtime:
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
    return Runtime(module, python, f"{module} {version} on Python {python_version}")
