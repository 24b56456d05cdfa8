"""An interrupt while the runtime's modules are imported: the next import works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys

FIRST, LAST, STEP = 1_000, 8_000, 100


def child(stop):
    met = 0

    def trace(frame, event, arg):
        nonlocal met
        met += 1
        if met == stop:
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)  # of this thread only, as an interrupt is raised on the main thread only
    try:
        import nbactors.local.wire.framing
    except KeyboardInterrupt:
        pass
    sys.settrace(None)
    from nbactors.local.wire.framing import control_codec

    codec = control_codec()
    codec.decode(codec.encode([])[4:])


import nbactors

for stop in range(FIRST, LAST, STEP):
    pid = os.fork()
    if not pid:
        child(stop)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        print(f"stopped at event {stop}: exit status {status}")
"""


def test_an_interrupted_import_of_a_compiled_module_harms_no_later_one(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=50, env=environ, check=True
    )
    assert done.stdout == ""
