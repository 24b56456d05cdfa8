"""A process that runs the work in a session of a runtime. It gets its requests as lines of JSON."""

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
    """Raised if the work fails in its process. The text contains that process's traceback."""


@dataclass(frozen=True)
class Runtime:
    """A runtime that can run the work."""

    module: str = "nbactors"  # the module that the work imports
    python: str = sys.executable  # an interpreter that can import the module
    script: str = str(Path(__file__).with_name("workloads.py"))  # the file with the work

    def environment(self, directory: str) -> dict[str, str]:
        """Return the environment variables of a process whose runtime files lie in `directory`."""
        # NBACTORS_LINGER_S: the node ends at once after the session, since no later session uses the directory.
        environ = {**os.environ, "NBACTORS_DIR": directory, "NBACTORS_LINGER_S": "0"}
        # Users' interpreters keep compiled modules. On test machines this variable may prevent it.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        return environ


class Subject:
    """A process that runs the work in a runtime's interpreter. Used by the benchmark's main thread."""

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
        """End the session and the process; kill the process after `END_S` seconds."""
        try:
            self._process.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._errors.close()

    def run(self, work: str, **arguments: Any) -> Any:
        """Run one piece of work, wait for its end, and return its result.

        Raises:
            WorkError: The work failed, or the process ended.
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
