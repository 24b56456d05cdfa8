"""One process that runs the work: a fresh session of a runtime, steered line by line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

SCRIPT = Path(__file__).with_name("workloads.py")
END_S = 60.0


class WorkError(Exception):
    """A piece of work failed in its own process; the text is that process's traceback."""


class Subject:
    """Runs `workloads.py` in an interpreter. A context manager: leaving it ends the session and the process.

    Not thread-safe; used by the benchmark's main thread.
    """

    def __init__(self, python: str, module: str, environ: Mapping[str, str]) -> None:
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [python, str(SCRIPT), module, str(requests), str(answers)],
            env=dict(environ),
            pass_fds=[requests, answers],
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
        )
        os.close(requests)
        os.close(answers)
        self._out = open(self._requests, "w", encoding="utf-8")  # noqa: SIM115 - closed by __exit__
        self._in = open(self._answers, encoding="utf-8")  # noqa: SIM115 - closed by __exit__
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self._out.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._in.close()
        self._errors.close()

    def run(self, work: str, **arguments: Any) -> Any:
        """Have one piece of work done and return its result. Blocks until it is done.

        Raises:
            WorkError: It failed, or the process ended.
        """
        try:
            self._out.write(json.dumps({"work": work, **arguments}) + "\n")
            self._out.flush()
        except BrokenPipeError:
            raise self._ended(work) from None
        line = self._in.readline()
        if not line:
            raise self._ended(work)
        answer = json.loads(line)
        if "error" in answer:
            raise WorkError(f"{work} failed:\n{answer['error'].rstrip()}")
        return answer["value"]

    def _ended(self, work: str) -> WorkError:
        status = self._process.wait()
        self._errors.seek(0)
        tail = self._errors.read()[-2000:].decode(errors="replace").strip()
        return WorkError(f"{work} failed: its process ended with status {status}; it wrote:\n{tail}")
