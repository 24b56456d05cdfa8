"""`nbactors.util.pdb.set_trace` in a script: in the driver, and in a call that nobody can debug."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nbactors as ray
from nbactors.util import pdb


def test_a_call_of_a_script_refuses() -> None:
    @ray.remote
    def stop() -> None:
        pdb.set_trace()

    ray.init(num_cpus=1)
    try:
        with pytest.raises(
            RuntimeError, match=r"set_trace\(\) at .*test_set_trace.py:\d+: .* this call is of a script"
        ):
            ray.get(stop.remote())
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_a_driver_stops_at_the_calling_line() -> None:
    code = "from nbactors.util import pdb\ndef f():\n    word = 'spam' * 2\n    pdb.set_trace()\n    return word\nf()\n"
    done = subprocess.run(
        [sys.executable, "-c", code], input="p word\nc\n", capture_output=True, text=True, timeout=60, check=True
    )
    assert "(Pdb) 'spamspam'" in done.stdout
    assert "f()" in done.stdout
