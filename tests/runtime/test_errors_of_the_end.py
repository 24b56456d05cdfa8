"""What a session's own end breaks is no error of its program."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import nbactors as ray

ray.init(num_cpus=2)


@ray.remote
class Model:
    def apply(self):
        return 1


@ray.remote
class Worker:
    def begin(self, model):
        ray.get(model.apply.remote())

    def step(self, model):
        while True:
            ray.get(model.apply.remote())

    def fail(self):
        raise ValueError("of the user")


model, worker, other = Model.remote(), Worker.remote(), Worker.remote()
ray.get(worker.begin.remote(model))
worker.step.remote(model)
ray.wait([other.fail.remote()])
"""


def test_calls_that_meet_a_dead_actor_at_the_end_are_not_reported() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    assert "ActorDiedError" not in done.stderr
    assert "ValueError: of the user" in done.stderr
