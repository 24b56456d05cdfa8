"""Running cells in a real IPython shell, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a cell came to."""

    ok: bool
    output: str
    error: str


def run_cells(*cells: str) -> list[Outcome]:
    """Run cells one after the other in a fresh shell that has loaded the extension."""
    script = Path(__file__).with_name("shell_process.py")
    done = subprocess.run(
        [sys.executable, str(script)], input=json.dumps(cells), capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    return [Outcome(**outcome) for outcome in json.loads(done.stdout.splitlines()[-1])]
