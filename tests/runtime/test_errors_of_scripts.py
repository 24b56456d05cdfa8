"""What a script shows of an error of `python -c`: its own frames alone."""

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


def test_a_program_of_python_c_shows_its_own_frames_alone() -> None:
    command = [sys.executable, "-c", FAILING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count("ZeroDivisionError: division by zero") >= 3
    frames = [line.partition(", in ") for line in done.stdout.splitlines() if line.startswith("  File ")]
    assert {where.partition(",")[0] for where, _, _ in frames} == {'  File "<python -c>"'}
    assert [function for _, _, function in frames] == ["divide", "divide", "__init__", "__post_init__", "divide"]
