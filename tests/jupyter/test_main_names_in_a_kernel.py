"""What a notebook's cells define, inside actors: names for pickle and child processes, sources, and kinds by value."""

from __future__ import annotations

import pytest
from live_kernel import LiveKernel

pytestmark = pytest.mark.slow

SETUP = """
import __main__, dataclasses, functools, inspect, multiprocessing, pickle, typing
from typing import Optional

UserId = typing.NewType("UserId", int)

@functools.lru_cache
def square(number):
    return number * number

@dataclasses.dataclass(slots=True)
class Point:
    x: int
    next: "Optional[Point]" = None
    owner: "UserId" = 0

def double(point):
    # Twice as much.
    return 2 * point.x
"""


def test_names_and_kinds(kernel: LiveKernel) -> None:
    kernel.run(
        "@ray.remote\n"
        "class Keeper:\n"
        "    def __init__(self, owner):\n"
        "        self.point = Point(square(2), None, UserId(owner))\n"
        "    def get(self):\n"
        "        return self.point\n"
        "    def pickled(self):\n"
        "        return pickle.loads(pickle.dumps(self.point)) == self.point\n"
        "    def hints(self):\n"
        "        return typing.get_type_hints(Point)\n"
        "    def pool(self):\n"
        "        with multiprocessing.get_context('fork').Pool(1) as pool:\n"
        "            return pool.map(double, [self.point])\n"
        "    def sources(self):\n"
        "        return inspect.getsource(double), inspect.getsource(self.get)\n"
        "keeper = Keeper.remote(7)"
    )
    assert kernel.value("ray.get(keeper.get.remote()) == Point(4, None, 7)") == "True"
    assert kernel.value("ray.get(keeper.pickled.remote())") == "True"
    assert kernel.value("ray.get(keeper.hints.remote()) == typing.get_type_hints(Point)") == "True"
    assert kernel.value("ray.get(keeper.pool.remote())") == "[8]"
    assert kernel.value("ray.get(keeper.sources.remote())[0] == inspect.getsource(double)") == "True"
    assert kernel.value("ray.get(keeper.sources.remote())[1]") == repr(
        "    def get(self):\n        return self.point\n"
    )


def test_a_cell_that_runs_again_takes_the_name(kernel: LiveKernel) -> None:
    cell = (
        "@dataclasses.dataclass\nclass Point:\n    y: int = {0}\n"
        "@ray.remote\ndef look(point):\n"
        "    return point.y, __main__.Point is type(point), inspect.getsource(look_at)\n"
        "def look_at():\n    return {0}\n"
        "ray.get(look.remote(Point()))"
    )
    assert kernel.value(cell.format(1)) == repr((1, True, "def look_at():\n    return 1\n"))
    assert kernel.value(cell.format(2)) == repr((2, True, "def look_at():\n    return 2\n"))
