"""Detached actors of a session that ends just after it has made them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nbactors as ray
from nbactors.local.session import engine

pytestmark = pytest.mark.slow

SCRIPT = """
import nbactors as ray

ray.init(num_cpus=2, namespace="ends")


@ray.remote
def slow():
    import time
    time.sleep(0.3)
    return 7


@ray.remote(num_cpus=0)
class Keeper:
    def __init__(self, value):
        self.value = value

    def get(self):
        return self.value


for name in ("one", "two"):
    Keeper.options(name=name, lifetime="detached").remote(1)
Keeper.options(name="waits", lifetime="detached").remote(slow.remote())
"""


@pytest.fixture
def namespace():
    yield "ends"
    for name in ("one", "two", "waits"):
        try:
            ray.kill(ray.get_actor(name))
        except ValueError:  # it was not made
            pass
    ray.shutdown()


def test_a_script_may_end_at_once(namespace: str) -> None:
    """Their class and arguments have not reached a worker yet, and one argument is not even there."""
    ray.init(num_cpus=2, namespace=namespace)  # keeps the node
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
    keepers = [ray.get_actor(name) for name in ("one", "two", "waits")]
    assert ray.get([keeper.get.remote() for keeper in keepers], timeout=30) == [1, 1, 7]


@pytest.mark.parametrize("end", ["exits", "is dropped"])
def test_an_actor_may_end_at_once(namespace: str, end: str) -> None:
    ray.init(num_cpus=2, namespace=namespace)

    class Maker:
        def make(self, exits: bool) -> None:
            for name in ("one", "two"):
                ray.remote(num_cpus=0)(dict).options(name=name, lifetime="detached").remote(value=1)
            if exits:
                ray.actor.exit_actor()

    maker = ray.remote(num_cpus=0)(Maker).remote()
    made = maker.make.remote(end == "exits")
    del maker
    ray.wait([made], timeout=30)
    keepers = [ray.get_actor(name) for name in ("one", "two")]
    assert ray.get([keeper.__ray_ready__.remote() for keeper in keepers], timeout=30) == [True, True]


def test_one_that_gets_no_worker_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "DETACH_S", 0.2)
    ray.init(num_cpus=1, namespace="ends")
    holder = ray.remote(num_cpus=1)(dict).remote()
    ray.get(holder.__ray_ready__.remote(), timeout=30)
    ray.remote(num_cpus=1)(dict).options(name="late", lifetime="detached").remote()
    with pytest.warns(RuntimeWarning, match="is lost: it had no worker within 0.2 s"):
        ray.shutdown()
