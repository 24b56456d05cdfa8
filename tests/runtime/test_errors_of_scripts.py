"""What a script shows of an error: of `python -c` only its own frames, and under the traceback a hint."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

FAILING = """
import dataclasses
import nbactors as ray

@ray.remote
@dataclasses.dataclass
class Divider:
    fails: bool

    def __post_init__(self):
        self.divide(self.fails)

    def divide(self, fails):
        return 1 / (not fails)

@ray.remote
def divide():
    return 1 / 0

ray.init()
actor = Divider.remote(False)
for ref in (actor.divide.remote(True), divide.remote(), Divider.remote(True).divide.remote(False)):
    try:
        ray.get(ref)
    except ray.exceptions.RayError as error:
        print(error)
"""

WRITING = """
import numpy
import nbactors as ray

for _ in range(2):
    ray.init(ignore_reinit_error=True)
    small = ray.get(ray.put(numpy.zeros(3)))
    ray.shutdown()
small[0] = 1
"""


def test_a_program_of_python_c_shows_its_own_frames_alone() -> None:
    command = [sys.executable, "-c", FAILING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count("ZeroDivisionError: division by zero") >= 3
    frames = [line.partition(", in ") for line in done.stdout.splitlines() if line.startswith("  File ")]
    assert {where.partition(",")[0] for where, _, _ in frames} == {'  File "<python -c>"'}
    assert [function for _, _, function in frames] == ["divide", "divide", "__init__", "__post_init__", "divide"]


def test_a_write_into_a_small_array_is_explained_once() -> None:
    done = subprocess.run([sys.executable, "-c", WRITING], capture_output=True, text=True, timeout=60, check=False)
    assert "assignment destination is read-only" in done.stderr
    assert done.stderr.count("are read-only, small ones too") == 1
