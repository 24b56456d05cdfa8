"""Kinds of objects that a script or a notebook defines in `__main__`: they work in actors and tasks, and come back."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from conformance.main_kinds import ROUTES

if TYPE_CHECKING:
    from conformance.drivers import Drivers

BEGIN = """
import abc, collections, dataclasses, enum, functools, typing
from typing import Any, Callable, Generic, NamedTuple, NewType, ParamSpec, Protocol, TypeVar

ray.init()
"""

PLAIN = """
class Color(enum.Enum):
    RED = 1
    BLUE = 2

    def other(self):
        return Color.BLUE if self is Color.RED else Color.RED


class Mode(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Point(NamedTuple):
    x: int
    y: int = 0


Pair = collections.namedtuple("Pair", "left right")


@typing.runtime_checkable
class Speaks(Protocol):
    def speak(self): ...


class Dog:
    def speak(self):
        return "woof"


T = TypeVar("T")


class Box(Generic[T]):
    def __init__(self, value: T):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Box) and self.value == other.value


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str


@dataclasses.dataclass
class Item:
    name: str
    tags: list = dataclasses.field(default_factory=list)


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def area(self):
        return 4


tell("enum", lambda: Color.RED.other())
tell("flag", lambda: Mode.READ | Mode.WRITE)
tell("NamedTuple", lambda: Point(1))
tell("namedtuple", lambda: Pair(1, 2))
tell("protocol", lambda: isinstance(Dog(), Speaks))
tell("generic", lambda: Box[int](3))
tell("frozen", lambda: Frozen("a"))
tell("dataclass", lambda: Item("a", ["b"]))
tell("abstract", lambda: Square().area())
for name, value in [("enum", Color.RED), ("NamedTuple", Point(2)), ("TypeVar", T), ("generic", Box[int]),
                    ("protocol", Speaks), ("frozen", Frozen("b")), ("dataclass", Item("c"))]:
    tell_value(name, value)
"""

FUNCTOOLS = """
@functools.lru_cache(maxsize=100)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@functools.cache
def square(n):
    return n * n


@dataclasses.dataclass
class Cat:
    name: str = "Tom"


@functools.singledispatch
def describe(value):
    return "something"


@describe.register
def _(value: int):
    return "a number"


@describe.register(list)
def _(value):
    return [describe(part) for part in value]


@describe.register(Cat)
def _(value):
    return value.name


class Lazy:
    count = 0

    @functools.cached_property
    def value(self):
        self.count += 1
        return self.count


class own_property(functools.cached_property):
    pass


class Methods:
    @functools.lru_cache
    def cached(self, value):
        return 2 * value

    @functools.singledispatchmethod
    def describe(self, value):
        return "something"

    @describe.register
    def _(self, value: int):
        return "a number"

    @own_property
    def own(self):
        return 5


def make_local():
    @functools.lru_cache
    def local(value):
        return value + 1

    return local


local = make_local()
methods = Methods()
methods.describe(1)

tell("lru_cache", lambda: (fibonacci(30), fibonacci.cache_parameters()["maxsize"], fibonacci.__name__))
tell("cache", lambda: (square(3), square(3), square.cache_info().maxsize, square.__wrapped__(2)))
tell("local", lambda: local(1))
tell("partial", functools.partial(square, 4))
tell("singledispatch", lambda: describe([1, "a", Cat(), [2]]))
tell("names", lambda: (describe.__name__, describe.__module__, describe.dispatch(Cat)(Cat()), len(describe.registry)))
tell("cached_property", lambda: (lambda lazy: (lazy.value, lazy.value))(Lazy()))
tell("methods", lambda: (methods.cached(2), methods.describe(1), methods.describe("a"), methods.own))
tell_value("lru_cache", square, lambda found, value: found(5) == 25)
tell_value("singledispatch", describe, lambda found, value: found(3) == "a number")
tell_value("method", Methods.cached, lambda found, value: found(methods, 3) == 6)
"""

TYPING = """
UserId = NewType("UserId", int)
P = ParamSpec("P")
R = TypeVar("R", bound="Node")
Handler = Callable[P, int]


class Node:
    def __init__(self, key: UserId) -> None:
        self.key = UserId(key)

    def wrap(self, function: Callable[P, R]) -> Callable[P, R]:
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            return function(*args, **kwargs)
        return wrapper


tell("NewType", lambda: (UserId(5), UserId.__name__, UserId.__supertype__))
tell("ParamSpec", lambda: (P.__name__, str(Handler), P.__module__))
tell("annotations", lambda: Node(UserId(1)).wrap(lambda x: 2 * x)(3))
for name, value in [("NewType", UserId), ("ParamSpec", P), ("args", P.args), ("TypeVar", R), ("Callable", Handler)]:
    tell_value(name, value)
if sys.version_info >= (3, 11):
    Ts = typing.TypeVarTuple("Ts")
    tell("TypeVarTuple", lambda: Ts.__name__)
    tell_value("TypeVarTuple", Ts)
    tell_value("Unpack", tuple[typing.Unpack[Ts]])
"""

SLOTS = """
@dataclasses.dataclass(slots=True)
class Point:
    x: int
    name: str = "p"


@dataclasses.dataclass(slots=True)
class Point3(Point):
    z: int = 0


class Hidden:
    __slots__ = ("__secret", "shown")

    def __init__(self):
        self.__secret, self.shown = 1, 2

    def __eq__(self, other):
        return (self.__secret, self.shown) == (other.__secret, other.shown)


class Open(Hidden):
    def __init__(self):
        super().__init__()
        self.more = 3


class Single:
    __slots__ = "only"

    def __eq__(self, other):
        return self.only == other.only


class Late:
    def __eq__(self, other):
        return vars(self) == vars(other)


Late.__slots__ = ("x",)


def make(cls, **values):
    made = cls()
    for name, value in values.items():
        setattr(made, name, value)
    return made


tell("dataclass", lambda: Point(1))
tell("subclass", lambda: Point3(1, "q", 2))
tell("hidden", lambda: Hidden())
tell("open", lambda: (Open(), Open().more))
tell("single", lambda: make(Single, only=1))
tell("late", lambda: make(Late, x=1))
tell("no dict", lambda: hasattr(Point(1), "__dict__"))
for value in [Point(1), Point3(1), Hidden(), Open(), make(Single, only=1), make(Late, x=2)]:
    tell_value(type(value).__name__, value)
"""

ENUMS = """
class Planet(enum.Enum):
    EARTH = (5.9, 6.3)
    MARS = (0.6, 3.3)

    def __init__(self, mass, radius):
        self.mass, self.radius = mass, radius

    @property
    def density(self):
        return self.mass / self.radius**3


class Coordinate(bytes, enum.Enum):
    def __new__(cls, value, label):
        made = bytes.__new__(cls, [value])
        made._value_, made.label = value, label
        return made

    X = (1, "to the right")
    Y = (2, "up")


class Key(str, enum.Enum):
    def __init__(self, text):
        self.size = len(text)

    SHORT = "a"
    LONG = "abc"
    SAME = "a"


class Level(int, enum.Enum):
    def __new__(cls, number):
        made = int.__new__(cls, number)
        made._value_ = str(number)
        return made

    LOW = 1


class Access(enum.Flag):
    def __init__(self, number):
        self.note = f"bit {number}"

    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Size:
    width: int


class Paper(Size, enum.Enum):
    A4 = 210


tell("planet", lambda: (Planet.EARTH.density > Planet.MARS.density, Planet((0.6, 3.3)), Planet["MARS"]))
tell("coordinate", lambda: (Coordinate.Y, Coordinate.Y.label, Coordinate(2), bytes(Coordinate.X)))
tell("key", lambda: (Key.LONG.size, Key("a") is Key.SAME, Key.SHORT == "a", list(Key.__members__)))
tell("level", lambda: (Level.LOW + 1, Level("1")))
tell("access", lambda: (Access.READ | Access.WRITE, Access(3), Access.WRITE.note))
tell("paper", lambda: (Paper.A4.width, Paper.A4))
for name, value in [("planet", Planet.MARS), ("coordinate", Coordinate), ("paper", Paper.A4), ("access", Access(3))]:
    tell_value(name, value)
"""

CLASSES = """
class Plugin:
    known = {}

    def __init_subclass__(cls, *, key, **options):
        super().__init_subclass__(**options)
        Plugin.known[key] = cls.__name__
        cls.key = key


class Reader(Plugin, key="reader"):
    def get_key(self):
        return self.key


class Named:
    def __init_subclass__(cls):
        if not hasattr(cls, "name"):
            raise TypeError("a subclass has a name")


class Tom(Named):
    name = "Tom"


class Tagged(type):
    def __new__(cls, name, bases, body, *, tag):
        return super().__new__(cls, name, bases, body)

    def __init__(cls, name, bases, body, *, tag):
        super().__init__(name, bases, body)
        cls.tag = tag


class Thing(metaclass=Tagged, tag="t"):
    def __eq__(self, other):
        return type(self) is type(other)


class AbstractTagged(Tagged, abc.ABCMeta):
    pass


class Shape(metaclass=AbstractTagged, tag="s"):
    @abc.abstractmethod
    def area(self): ...


class Square(Shape, tag="q"):
    def area(self):
        return 4


T = TypeVar("T")


class Typed(Plugin, Generic[T], key="typed"):
    pass


tell("keywords", lambda: (Reader().get_key(), Plugin.known))
tell("check", lambda: Tom().name)
tell("metaclass", lambda: (Thing(), Thing.tag, type(Thing) is Tagged))
tell("abstract", lambda: (Square().area(), Square.tag, Shape.__abstractmethods__))
tell("generic", lambda: (Typed[int].__origin__ is Typed, Typed.__orig_bases__[-1] == Generic[T], Typed.key))
tell("again", lambda: Plugin.__init_subclass__.__func__.__kwdefaults__)
tell_value("metaclass", Thing())
tell_value("class", Reader)
say("known", Plugin.known == {"reader": "Reader", "typed": "Typed"})
"""

ALIASES = """
type Size = int
type Json = dict[str, Json] | list[Json] | int
type Pairs[T] = list[tuple[T, T]]


class Stack[T]:
    def __init__(self) -> None:
        self.items: list[T] = []

    def push(self, item: T) -> Size:
        self.items.append(item)
        return len(self.items)


def first[T](items: Pairs[T]) -> T:
    return items[0][0]


tell("alias", lambda: (Size.__name__, Size.__value__, Size.__module__))
tell("recursive", lambda: str(Json.__value__))
tell("generic", lambda: (str(Pairs[int]), Pairs.__type_params__[0].__name__))
tell("class", lambda: Stack[int]().push(3))
tell("function", lambda: first([(1, 2)]))
for name, value in [("alias", Size), ("recursive", Json), ("generic", Pairs), ("class", Stack), ("args", Pairs[int])]:
    tell_value(name, value)
"""

REFUSED = """
class Missing:
    def __reduce__(self):
        return "MISSING"


MISSING = Missing()
holder = Holder.remote(int)
say(outcome(lambda: holder.echo.remote(MISSING)))
say(outcome(lambda: Holder.remote(lambda: MISSING)))
say(ray.get(holder.again.remote()))
"""


def outcomes(drivers: Drivers, source: str) -> dict[str, str]:
    out, _ = drivers.run(BEGIN + ROUTES + textwrap.dedent(source))
    lines = [line.removeprefix("say:").strip() for line in out.splitlines() if line.startswith("say:")]
    return {line: "True" if line.endswith(" True") else line for line in lines}


def test_kinds_that_cloudpickle_sends(drivers: Drivers) -> None:
    found = outcomes(drivers, PLAIN)
    assert len(found) == 9 * 3 + 7 * 2
    assert set(found.values()) == {"True"}


@pytest.mark.differs("Ray cannot send them: the actor dies in its constructor, or the call is refused")
@pytest.mark.differs_on_cluster("Ray pickles what a cluster gets, and cannot send them: the call is refused, or fails")
@pytest.mark.parametrize(
    ("source", "count"),
    [
        (FUNCTOOLS, 8 * 3 + 3 * 2),
        (TYPING, 3 * 3 + 5 * 2 + (3 + 4 if sys.version_info >= (3, 11) else 0)),
        (SLOTS, 7 * 3 + 6 * 2),
        (ENUMS, 6 * 3 + 4 * 2),
        (CLASSES, 6 * 3 + 2 * 2 + 1),
        pytest.param(
            ALIASES,
            5 * 3 + 5 * 2,
            marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="`type` statements are of Python 3.12"),
        ),
    ],
    ids=["functools", "typing", "slots", "enums", "classes", "aliases"],
)
def test_kinds_that_cloudpickle_does_not_send(drivers: Drivers, source: str, count: int) -> None:
    found = outcomes(drivers, source)
    assert len(found) == count
    assert set(found.values()) == {"True"}


@pytest.mark.differs("Ray sends the name, and the call fails in the worker")
@pytest.mark.differs_on_cluster("as on Ray, the name is sent, and the call fails in the worker")
def test_an_object_that_is_only_a_name_is_refused_at_the_call(drivers: Drivers) -> None:
    out, _ = drivers.run(BEGIN + ROUTES + REFUSED)
    argument, code, alive = (line for line in out.splitlines() if line.startswith("say:"))
    for text in (argument, code):
        assert "TypeError: cannot pickle" in text
        assert "Missing reduces itself to the name 'MISSING' of __main__" in text
    assert alive == "say: 0", "the actor has not got the call, and lives"
