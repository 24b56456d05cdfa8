"""`%autoreload` in a real kernel: what the cell runs anew, its tasks and actors do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_kernel import LiveKernel

from nbactors.testing import eventually

pytestmark = pytest.mark.slow

SETUP = """
%load_ext autoreload
%autoreload 2
import sys
sys.path.insert(0, {place!r})
import edited
@ray.remote
def inner():
    return edited.double(1)
task = ray.remote(edited.double)
Actor = ray.remote(edited.Actor)
"""

ASK = """
print(edited.double(1), ray.get(task.remote(1)), ray.get(inner.remote()),
      ray.get(ray.remote(edited.Actor).remote().get.remote()))
"""

MODULE = """
def double(x):
    return x * {0}
class Actor:
    def get(self):
        return {0}
"""


@pytest.fixture
def kernel(_loop: None) -> Iterator[LiveKernel]:
    made = LiveKernel()
    made.open()
    yield made
    made.close()
    made.stop()


def test_tasks_and_actors_run_the_edited_module(kernel: LiveKernel, tmp_path: Path) -> None:
    file = tmp_path / "edited.py"
    for number in (2, 33, 444):
        file.write_text(MODULE.format(number) + "\n" * number)  # of another length, which Python looks at
        if number == 2:
            kernel.run(SETUP.format(place=str(tmp_path)))
        told = f"{number} {number} {number} {number}"
        # A second may go by until a worker looks again.
        eventually(lambda told=told: kernel.text(kernel.run(ASK)).strip() == told, timeout_s=20)
