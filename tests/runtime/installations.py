"""Installations of nbactors in environments of their own, and programs that run there."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

VERSIONS = ("3.10", "3.11", "3.12", "3.13")
NEEDED = ("msgspec", "cloudpickle", "setproctitle")
"""What a session and its workers import. The rest of the dependencies is for the command line."""


class Installation:
    """An environment with nbactors in it.

    Args:
        base: The interpreter that it is made from.
        place: Its directory.
    """

    def __init__(self, base: str, place: Path) -> None:
        subprocess.run([base, "-m", "venv", "--without-pip", place], check=True, timeout=60)
        self.python = str(place / "bin" / "python")
        (self.packages,) = place.glob("lib/python*/site-packages")
        self._copy("nbactors")

    def copy_dependencies(self) -> None:
        """Copy them from the environment of the tests, which has to be of the same Python."""
        for name in NEEDED:
            self._copy(name)

    def download_dependencies(self) -> str:
        """Have pip install them. Returns what it says if it cannot."""
        command = [sys.executable, "-m", "pip", "--python", self.python, "install", "--no-deps", "--quiet", *NEEDED]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        return done.stderr.strip() if done.returncode else ""

    def _copy(self, name: str) -> None:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.submodule_search_locations
        source = spec.submodule_search_locations[0]
        shutil.copytree(source, self.packages / name, ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, program: str, *flags: str, cwd: Path = Path("/"), **environ: str) -> Any:
        """Run a program; return what it prints as JSON in its last line."""
        return run([self.python, *flags, "-c", program], cwd, **environ)


def run(command: list[str], cwd: Path = Path("/"), **environ: str) -> Any:
    """Run a command; return what it prints as JSON in its last line."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # Its node may be of use to the next program.
    whole = {**inherited, "NBACTORS_LINGER_S": "30", **environ}
    done = subprocess.run(command, cwd=cwd, env=whole, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def another_python() -> str | None:
    """Return an interpreter of another supported version that runs, the newest; None if there is none."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for version in reversed(VERSIONS):
        if version != own:
            # A shim may be there of a version that is not.
            for found in filter(None, [shutil.which(f"python{version}"), *_of_pyenv(version)]):
                if not subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
                    return found
    return None


def _of_pyenv(version: str) -> list[str]:
    """Return the interpreters of a version that pyenv has, which need not be on the PATH."""
    if shutil.which("pyenv") is None:
        return []
    root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False).stdout.strip()
    return sorted(map(str, Path(root).glob(f"versions/{version}.*/bin/python{version}")))
