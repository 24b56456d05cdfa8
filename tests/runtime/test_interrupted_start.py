"""An interrupt while a session begins: it ends that, and the next session begins as ever."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import os, random, signal, sys, threading
import nbactors as ray
from nbactors.util.state import stop_node

choose = random.Random(int(sys.argv[1]))
met = 0
for attempt in range(12):
    timer = threading.Timer(choose.random() / 4, os.kill, [os.getpid(), signal.SIGINT])
    try:
        timer.start()
        ray.init(num_cpus=1)
        threading.Event().wait(20)
    except KeyboardInterrupt:
        met += 1
    timer.join()
    ray.shutdown()
    ray.init(num_cpus=1)
    assert ray.get(ray.put(attempt)) == attempt
    ray.shutdown()
    if attempt % 3 == 0:
        stop_node(force=True)  # so that the next start is interrupted in that of the node, too
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
print(met)
"""


def test_an_interrupted_start_leaves_nothing_and_the_next_session_begins(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, str(script), str(seed)], capture_output=True, text=True, timeout=50, env=environ, check=False
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    assert done.stdout.split() == ["12"]
