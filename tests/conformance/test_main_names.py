"""Names of a script's `__main__` inside actors and tasks: for pickle, type hints, sources and child processes."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.drivers import Drivers

pytestmark = [
    pytest.mark.differs("on Ray the __main__ of a worker has none of the names"),
    pytest.mark.differs_on_cluster("as on Ray, the __main__ of a worker has none of the names"),
]

BEGIN = """
import __main__
import concurrent.futures, dataclasses, functools, inspect, multiprocessing, pickle, types, typing
from typing import Optional

UserId = typing.NewType("UserId", int)


@dataclasses.dataclass
class Point:
    x: int
    next: "Optional[Point]" = None
    owner: "UserId" = 0


def double(point: "Optional[Point]", more: "types.SimpleNamespace" = 0) -> "int":
    return 2 * point.x


@functools.lru_cache
def square(number):
    return number * number


ray.init(num_cpus=1)
"""


def words(drivers: Drivers, source: str) -> list[str]:
    """Return what the script says."""
    out, _ = drivers.run(BEGIN + textwrap.dedent(source))
    return [line.removeprefix("say:").strip() for line in out.splitlines() if line.startswith("say:")]


def test_pickle_of_user_code(drivers: Drivers) -> None:
    source = """
    @ray.remote
    class Keeper:
        def __init__(self):
            self.point = Point(1, Point(2))

        def copy(self):
            other = pickle.loads(pickle.dumps([self, self.point, double, square, UserId]))
            return [other[0].point == self.point, other[1:] == [self.point, double, square, UserId]]

    @ray.remote
    def copy(point):
        return pickle.loads(pickle.dumps(point)) == point

    keeper = Keeper.remote()
    say(ray.get(keeper.copy.remote()))
    say(ray.get(copy.remote(Point(3))))
    """
    assert words(drivers, source) == ["[True, True]", "True"]


def test_type_hints(drivers: Drivers) -> None:
    source = """
    @ray.remote
    class Keeper:
        last: "Optional[Point]" = None

        def __init__(self, start: "Point", *more: "UserId"):
            self.start = start

        def hints(self):
            return [typing.get_type_hints(thing) for thing in (Point, double, type(self), self.__init__)]

    keeper = Keeper.remote(Point(1))
    found = ray.get(keeper.hints.remote())
    point, optional = {"x": int, "next": Optional[Point], "owner": UserId}, Optional[Point]
    say(found[0] == point)
    say(found[1] == {"point": optional, "more": types.SimpleNamespace, "return": int})
    say(found[2] == {"last": optional}, found[3] == {"start": Point, "more": UserId})
    """
    assert words(drivers, source) == ["True", "True", "True True"]


def test_sources(drivers: Drivers) -> None:
    source = """
    @ray.remote
    class Keeper:
        def sources(self):
            return [inspect.getsource(thing) for thing in (Point, double, type(self), self.sources)]

    found = ray.get(Keeper.remote().sources.remote())
    cls = Keeper.__wrapped__
    say(found == [inspect.getsource(thing) for thing in (Point, double, cls, cls.sources)])
    say(found[0].splitlines()[1])
    """
    assert words(drivers, source) == ["True", "class Point:"]


def test_forked_processes(drivers: Drivers) -> None:
    source = """
    @ray.remote
    class Parent:
        def pool(self):
            with multiprocessing.get_context("fork").Pool(1) as pool:
                return pool.map(double, [Point(1), Point(2)]), pool.map(square, [3]), pool.map(Point, [4])

        def executor(self):
            context = multiprocessing.get_context("fork")
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
                return executor.submit(double, Point(5)).result(), executor.submit(Point, 6).result()

    parent = Parent.remote()
    say(ray.get(parent.pool.remote()) == ([2, 4], [9], [Point(4)]))
    say(ray.get(parent.executor.remote()) == (10, Point(6)))
    """
    assert words(drivers, source) == ["True", "True"]


def test_spawned_processes(drivers: Drivers) -> None:
    source = """
    say("the script runs")

    @ray.remote
    class Parent:
        def run(self, function, *args):
            context = multiprocessing.get_context("spawn")
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
                return executor.submit(function, *args).result()

        def double(self):
            return self.run(double, Point(1))

    parent = Parent.remote()
    say(ray.get(parent.run.remote(os.path.basename, "a/b")))
    try:
        ray.get(parent.double.remote())
    except concurrent.futures.process.BrokenProcessPool as error:
        say("refused")
    """
    out, err = drivers.run(BEGIN + textwrap.dedent(source))
    assert [line for line in out.splitlines() if line.startswith("say:")] == [
        "say: the script runs",
        "say: b",
        "say: refused",
    ]
    assert "'double' is defined in the session's notebook or script, which a process does not have that" in err
    assert "Use the start method 'fork'" in err


def test_an_older_definition_does_not_take_a_name(drivers: Drivers) -> None:
    source = """
    old = ray.put(Point(1))
    Old = Point

    @dataclasses.dataclass
    class Point:
        y: int

    @ray.remote
    class Keeper:
        def __init__(self):
            self.point = Point(2)

        def look(self, point):
            kind = __main__.Point
            return kind is type(self.point), type(point) is kind, "y" in kind.__dataclass_fields__

    keeper = Keeper.remote()
    say(ray.get(keeper.look.remote(old)))
    say(ray.get(keeper.look.remote(Old(3))))
    say(ray.get(keeper.look.remote(Point(4))))

    @dataclasses.dataclass
    class Point:
        z: int

    say(ray.get(keeper.look.remote(Point(5))))
    """
    assert words(drivers, source) == [
        "(True, False, True)",
        "(True, False, True)",
        "(True, True, True)",
        "(False, True, False)",
    ]


def test_names_that_the_worker_has_assigned_stay(drivers: Drivers) -> None:
    source = """
    @ray.remote
    class Keeper:
        def assign(self):
            __main__.Point = "own"
            __main__.later = "own"

        def look(self, *_):
            return __main__.Point, __main__.later, sorted(name for name in vars(__main__) if name[0] != "_")

    def later():
        pass

    keeper = Keeper.remote()
    ray.get(keeper.assign.remote())
    say(ray.get(keeper.look.remote(Point(1), later)))
    """
    assert words(drivers, source) == ["('own', 'own', ['Keeper', 'Point', 'later'])"]


def test_a_deleted_function_leaves_its_name(drivers: Drivers) -> None:
    source = """
    from conformance.waiting import eventually

    data = [1, 2, 3]

    def helper():
        return data

    @ray.remote(max_retries=0)
    def total():
        return sum(helper()), sorted(name for name in vars(__main__) if name[0] != "_"), os.getpid()

    @ray.remote(max_retries=0)
    def names():
        return sorted(name for name in vars(__main__) if name[0] != "_"), os.getpid()

    *found, pid = ray.get(total.remote())
    say(found)
    del total

    def is_gone():
        found, other = ray.get(names.remote())
        return other == pid and found == ["names"]

    eventually(is_gone)
    say("gone")
    """
    assert words(drivers, source) == ["[6, ['helper', 'total']]", "gone"]


def test_a_detached_actor_takes_the_names_of_the_latest_session(drivers: Drivers) -> None:
    source = """
    @ray.remote
    class Keeper:
        def __init__(self):
            self.points = []

        def add(self, point):
            self.points.append(point)
            return [__main__.Point is type(one) for one in self.points], pickle.loads(pickle.dumps(point)) == point

    ray.shutdown()
    ray.init(namespace="names")
    keeper = Keeper.options(name="keeper", lifetime="detached", get_if_exists=True).remote()
    say(ray.get(keeper.add.remote(Point(1))))
    if len(ray.get(keeper.add.remote(Point(2)))[0]) > 2:
        ray.kill(keeper)
    """
    assert words(drivers, source) == ["([True], True)"]
    assert words(drivers, source) == ["([False, False, True], True)"]
