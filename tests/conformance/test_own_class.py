"""The name of an actor class in the class's own methods, where it means the actor class."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.drivers import Drivers

CLASSES = """
class Base:
    def __init__(self, value=0):
        self.value = value


@ray.remote
class Node(Base):
    count = 5
    spare = 1

    def read(self):
        return Node.count

    def tree(self, depth):
        if depth == 0:
            return 1
        children = [Node.remote(), Node.options(max_concurrency=1).remote()]
        return sum(ray.get([child.tree.remote(depth - 1) for child in children]))

    @staticmethod
    def double(value):
        return 2 * value

    def static(self):
        return Node.double(4)

    def write(self):
        Node.count += 1
        Node.fresh = "new"
        del Node.spare
        return Node.count, type(self).count, self.count, self.fresh, hasattr(self, "spare")

    def clone(self):
        made = Node(self.value + 1)
        return type(made) is type(self), made.value, isinstance(made, Node), issubclass(type(self), Node)

    @classmethod
    def name(cls):
        return cls.__name__

    def class_method(self):
        return Node.name(), Node.value_of(self)

    def value_of(self):
        return self.value

    def python2(self):
        super(Node, self).__init__(3)

    def match(self):
        match self:
            case Node(value=0):
                return "a node"


@ray.remote
class Python2(Base):
    def __init__(self):
        super(Python2, self).__init__(3)


@ray.remote
class Other:
    def make(self):
        return Node()


def refusal(function):
    try:
        return function()
    except Exception as error:
        return str(error)
"""


@pytest.fixture(params=["script", "module"])
def classes(request: pytest.FixtureRequest, tmp_path: Path, module_name: str) -> str:
    """Source that defines the classes in `__main__`, or imports them."""
    if request.param == "script":
        return CLASSES + "\nray.init()\n"
    (tmp_path / "own_classes.py").write_text(f"import {module_name} as ray\n{CLASSES}")
    return "from own_classes import *\nray.init()\n"


def words(drivers: Drivers, classes: str, source: str) -> list[str]:
    """Return what a script says."""
    out, _ = drivers.run(classes + textwrap.dedent(source))
    return [line.removeprefix("say:").strip() for line in out.splitlines() if line.startswith("say:")]


def test_what_works_as_in_ray(drivers: Drivers, classes: str) -> None:
    source = """
    node = Node.remote()
    say(ray.get([node.read.remote(), node.static.remote(), node.tree.remote(2)]))
    say(Node.count, Node.double(3))
    say(refusal(lambda: Node()))
    """
    read, outside, refused = words(drivers, classes, source)
    assert (read, outside) == ("[5, 8, 4]", "5 6")
    assert "Actors cannot be instantiated directly" in refused


@pytest.mark.differs("on Ray the attribute is set on the actor class, and `Node()` is refused in its own methods")
def test_the_name_stands_for_the_class_in_its_own_process(drivers: Drivers, classes: str) -> None:
    source = """
    node = Node.remote(7)
    say(ray.get(node.write.remote()))
    say(ray.get(node.clone.remote()), ray.get(node.class_method.remote()))
    say(Node.count, Node.spare, hasattr(Node, "fresh"))
    say(refusal(lambda: ray.get(Other.remote().make.remote())).splitlines()[-1])
    """
    written, cloned, outside, refused = words(drivers, classes, source)
    assert written == "(6, 6, 6, 'new', False)"
    assert cloned == "(True, 8, True, True) ('Node', 7)"
    assert outside == "5 1 False", "the session has a class of its own"
    assert "Instead of 'Node()', use 'Node.remote()'" in refused


@pytest.mark.differs("on Ray the attribute is set on the actor class")
def test_an_attribute_that_the_session_sets_is_the_class_s(drivers: Drivers) -> None:
    source = """
    Node.count = 9
    say(ray.get(Node.remote().write.remote())[:3], Node.__wrapped__.count)
    del Node.count
    say(hasattr(Node, "count"), refusal(lambda: setattr(ray.remote(Base), "value", 1)))
    """
    assert words(drivers, CLASSES + "\nray.init()\n", source) == ["(10, 10, 10) 9", "False None"]


@pytest.mark.differs("on Ray there are only the errors of Python")
def test_what_needs_a_class_is_explained(drivers: Drivers, classes: str) -> None:
    source = """
    node = Node.remote()
    for ref in (node.python2.remote(), Python2.remote().__ray_ready__.remote(), node.match.remote()):
        say("|".join(refusal(lambda: ray.get(ref)).splitlines()))
    """
    method, constructor, pattern = words(drivers, classes, source)
    for text in (method, constructor):
        assert "super() argument 1 must be" in text
        assert "The name of an actor class means the actor class" in text
        assert "Call super() without arguments; type(self) is the class." in text
    assert "Node: The name of an actor class means the actor class" in pattern
    assert "`case _ if isinstance(value, Node):`" in pattern
