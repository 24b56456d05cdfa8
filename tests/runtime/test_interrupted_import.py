"""An interrupt, or a handler, while the runtime's modules are imported: it and the next import work."""

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


HANDLER = """
import os, signal, sys
from nbactors.pickling import pickling

STOPS = [*range(1, 400, 3), *range(400, 7_000, 100)]
NOT_MET = 77


def child(stop):
    met = 0

    def trace(frame, event, arg):
        nonlocal met
        met += 1
        if met == stop:
            pickling.dumps_code(lambda: "of the handler")
        return trace

    sys.settrace(trace)
    pickling.dumps_code(lambda: "interrupted")
    sys.settrace(None)
    return met >= stop


for stop in STOPS:
    pid = os.fork()
    if not pid:
        signal.alarm(10)  # ends it if it hangs
        status = 1
        try:
            status = 0 if child(stop) else NOT_MET
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == NOT_MET:
        break
    if status:
        print(f"stopped at event {stop}: exit status {status}")
print("last", stop)
"""


def run(tmp_path: Path, text: str) -> list[str]:
    """Run a script; return the lines of its output."""
    script = tmp_path / "script.py"
    script.write_text(text)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=50, env=environ, check=True
    )
    return done.stdout.splitlines()


def test_an_interrupted_import_of_a_compiled_module_harms_no_later_one(tmp_path: Path) -> None:
    assert run(tmp_path, SCRIPT) == []


def test_a_handler_that_interrupts_the_first_import_of_the_pickler_may_pickle_too(tmp_path: Path) -> None:
    *wrong, last = run(tmp_path, HANDLER)
    assert wrong == []
    assert int(last.removeprefix("last ")) > 20
