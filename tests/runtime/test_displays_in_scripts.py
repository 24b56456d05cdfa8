"""`display` in the actors of a script, where no notebook shows anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import nbactors as ray

@ray.remote
class Shower:
    def builtin(self):
        import builtins
        return hasattr(builtins, "display")
    def show(self):
        from IPython.display import display
        display("shown", "too")

ray.init(num_cpus=1)
shower = Shower.remote()
assert not ray.get(shower.builtin.remote())
ray.get(shower.show.remote())
ray.shutdown()
"""


@pytest.mark.slow
def test_display_prints_the_plain_text() -> None:
    pytest.importorskip("IPython")
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith(") shown too\n")
    assert done.stderr == ""
