"""The lines that a bar of `experimental.tqdm_ray` prints in a script."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import nbactors as ray
from nbactors.experimental.tqdm_ray import safe_print, tqdm

bar = tqdm(total=3, desc="main", unit="row")
bar.update(2)
bar.close()
bar.update(1)  # nothing after the end
try:
    for item in tqdm(range(4), desc="broken"):
        if item == 1:
            raise KeyError(item)
except KeyError:
    pass

@ray.remote
def work():
    for _ in tqdm(range(5), desc="task"):
        pass

ray.get(work.remote())
safe_print("end")
"""


def test_a_bar_prints_its_end() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    main, broken, task = done.stderr.splitlines()
    assert main.startswith("main:  66%|")
    assert " 2/3 [" in main
    assert broken.startswith("broken:  25%|")
    assert task.startswith("(work pid=")
    assert "task: 100%|" in task
    assert done.stdout == "end\n"
