"""Runs programs for Ray: with Ray as they are, and with nbactors after a change of their imports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "sources"
OUTPUTS = HERE / "ray_outputs"

TIMEOUT_S = 120.0

_OF_RAYLET = re.compile(r"^(?:\x1b\[\d+m)?\(raylet\).*\n", re.MULTILINE)
"""A warning of Ray's own, for instance that many workers were started."""

_IMPORT = re.compile(r"^import ray$", re.MULTILINE)
_IMPORT_FROM = re.compile(r"^from ray\b", re.MULTILINE)

# No dashboard, no report of usage, no token files, no start of workers by uv.
_RAY_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_LOG_TO_DRIVER": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}


def programs() -> list[str]:
    """Return the names of all programs."""
    return sorted(path.stem for path in SOURCES.glob("*.py"))


def source(name: str, engine: str) -> str:
    """Return a program's text for an engine, "ray" or "local"."""
    text = (SOURCES / f"{name}.py").read_text()
    if engine == "ray":
        return text
    return _IMPORT_FROM.sub("from nbactors", _IMPORT.sub("import nbactors as ray", text))


def run(name: str, engine: str, directory: Path) -> str:
    """Run a program in a process of its own; return what it prints.

    Args:
        name: The program.
        engine: "ray" or "local".
        directory: Where the program is written, and runs.

    Raises:
        AssertionError: It has ended with an error, or not in time.
    """
    script = directory / f"{name}.py"
    script.write_text(source(name, engine))
    environ = {**os.environ, **_RAY_ENVIRONMENT, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{name} on {engine} has ended with {done.returncode}; stderr:\n{done.stderr[-4000:]}"
    return _OF_RAYLET.sub("", done.stdout)


def stored(name: str) -> tuple[str, str]:
    """Return the version of Ray that a stored output is from, and the output."""
    head, _, output = (OUTPUTS / f"{name}.txt").read_text().partition("\n")
    return head.removeprefix("Ray "), output


def store(name: str, version: str, output: str) -> None:
    """Store the output of a program on Ray of a version."""
    OUTPUTS.mkdir(exist_ok=True)
    (OUTPUTS / f"{name}.txt").write_text(f"Ray {version}\n{output}")
