"""Programs that use another version of nbactors: a copy of the package that speaks another protocol."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbactors

PROTOCOL = 1009
"""No version's."""

KEEPER = """
import nbactors as ray

@ray.remote
class Keeper:
    def pid(self):
        import os
        return os.getpid()

ray.init(num_cpus=1, namespace="shop")
keeper = Keeper.options(name="keeper", lifetime="detached").remote()
print(ray.get(keeper.pid.remote()), flush=True)
"""
"""Leaves a detached actor behind, and prints its process id."""


class OtherVersion:
    """A copy of the package.

    Args:
        path: An empty directory to make it in.
        version: What it is called.
    """

    def __init__(self, path: Path, version: str = "9.9.9") -> None:
        package = Path(nbactors.__file__).parent
        shutil.copytree(package, path / "nbactors", ignore=shutil.ignore_patterns("__pycache__"))
        messages = path / "nbactors/local/wire/messages/message.py"
        _replace(messages, r"^PROTOCOL_VERSION = \d+$", f"PROTOCOL_VERSION = {PROTOCOL}")
        _replace(path / "nbactors/version.py", r'^__version__ = ".*"$', f'__version__ = "{version}"')
        self.path = path
        self.version = version

    def change(self, path: str, pattern: str, text: str) -> None:
        """Replace a line of the copy, given by a pattern, by another of another length: Python compares those."""
        _replace(self.path / path, pattern, text)

    def environ(self) -> dict[str, str]:
        """Return the variables of a program that is to use it."""
        return {**os.environ, "PYTHONPATH": str(self.path)}

    def run(self, source: str) -> str:
        """Run a program to its end; return what it prints."""
        # The first place that a program given by -c imports from is the working directory.
        done = subprocess.run(
            [sys.executable, "-c", source],
            cwd=self.path,
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keep_actor(self) -> int:
        """Have a node of this version run with a detached actor; return the actor's process."""
        return int(self.run(KEEPER))


def _replace(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, text, path.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{path} has {count} lines {pattern}"
    path.write_text(changed)
