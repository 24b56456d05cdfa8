"""One process that runs the work: a fresh session of a runtime, steered line by line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

END_S = 60.0


class WorkError(Exception):
    """A piece of work failed in its own process; the text is that process's traceback."""


@dataclass(frozen=True)
class Runtime:
    """A runtime that can run the work."""

    module: str = "nbactors"  # what the work imports
    python: str = sys.executable  # the interpreter that has it
    script: str = str(Path(__file__).with_name("workloads.py"))  # the work

    def environment(self, directory: str) -> dict[str, str]:
        """Return the variables for a process whose runtime files lie in `directory`, to which nobody comes back."""
        environ = {**os.environ, "NBACTORS_DIR": directory, "NBACTORS_LINGER_S": "0"}
        # Modules are compiled once, as they are for users; some test machines ask Python not to.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        return environ


class Subject:
    """Runs the work in an interpreter. Used by the benchmark's main thread."""

    def __init__(self, runtime: Runtime, environ: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._process = subprocess.Popen(
            [runtime.python, runtime.script, runtime.module],
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.pid = self._process.pid

    def close(self) -> None:
        """End the session and the process."""
        try:
            self._process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._errors.close()

    def run(self, work: str, **arguments: Any) -> Any:
        """Have one piece of work done and return its result. Blocks until it is done.

        Raises:
            WorkError: It failed, or the process ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"work": work, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            tail = self._errors.read()[-2000:].decode(errors="replace").strip()
            raise WorkError(f"{work} failed: its process ended with status {status}; it wrote:\n{tail}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkError(f"{work} failed:\n{answer['error'].rstrip()}")
        return answer["value"]
