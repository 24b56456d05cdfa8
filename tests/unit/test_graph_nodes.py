"""Graphs without a session: nodes in containers, and the order of an execution."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import Any

import pytest

import nbactors
from nbactors.dag import ClassNode, DAGInputData, DAGNode, FunctionNode, InputNode
from nbactors.dag.containers import members, replaced
from nbactors.dag.node import upstream


@nbactors.remote
def join(*parts: Any, **named: Any) -> str:
    return repr((parts, named))


@nbactors.remote
class Box:
    def put(self, value: Any) -> Any:
        return value


def test_members_are_found_in_their_order() -> None:
    assert list(members([1, (2, {"a": 3, 4: [5]}), frozenset({6})], int)) == [1, 2, 3, 4, 5, 6]
    assert list(members(7, int)) == [7]
    assert list(members(["text", object()], int)) == []


def test_a_container_inside_itself_is_not_followed() -> None:
    endless: list[Any] = [1]
    endless.append(endless)
    assert list(members(endless, int)) == [1]


def test_what_has_no_member_stays_the_same_object() -> None:
    kept = ["text", {"a": object()}]
    value = [1, kept]
    found = replaced(value, int, lambda number: number + 1)
    assert found == [2, kept]
    assert found[1] is kept
    assert value == [1, kept]


@pytest.mark.parametrize("made", [OrderedDict(a=1), defaultdict(list, a=1), {"a": 1}, {1}, frozenset({1}), (1,), [1]])
def test_replacing_keeps_the_class(made: Any) -> None:
    found = replaced(made, int, str)
    assert type(found) is type(made)
    assert list(members(found, str))[-1] == "1"
    assert getattr(found, "default_factory", None) == getattr(made, "default_factory", None)


def test_needs_come_before_the_nodes_that_need_them() -> None:
    first, second = join.bind(1), join.bind(2)
    third = join.bind(second, [first])
    end = join.bind(third, key={"inner": first})
    assert upstream(end) == [second, first, third, end]


def test_earlier_calls_of_an_actor_come_first() -> None:
    box = Box.bind()
    first = box.put.bind(1)
    other = Box.bind().put.bind(0)
    second = box.put.bind(other)
    order = upstream(second)
    assert order.index(box) < order.index(first) < order.index(second)
    assert order.index(other) < order.index(second)
    assert second not in upstream(first)


def test_bind_checks_arguments() -> None:
    with pytest.raises(TypeError, match="value"):
        Box.bind().put.bind()
    with pytest.raises(TypeError, match="Box"):
        Box.bind(1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        Box.bind().put.options(colour=1)


def test_an_unknown_method_names_a_similar_one() -> None:
    with pytest.raises(AttributeError, match=r"no method 'putt'\. Did you mean 'put'\? It has put\."):
        Box.bind().putt  # noqa: B018


def test_a_method_without_arguments_is_no_graph() -> None:
    for verb in ("remote", "execute"):
        with pytest.raises(AttributeError, match=r"\.put\.bind\(\.\.\.\)\.execute\(\)"):
            getattr(Box.bind().put, verb)


def test_libraries_find_no_method_of_theirs_on_nodes() -> None:
    with InputNode() as data:
        for node in (join.bind(), Box.bind(), data, data.x):
            assert not hasattr(node, "_repr_html_")
            assert not hasattr(node, "__array__")


def test_nodes_are_of_their_classes() -> None:
    assert isinstance(join.bind(), FunctionNode)
    assert isinstance(Box.bind(), ClassNode)
    assert not isinstance(Box.bind().put, DAGNode)


def test_several_inputs_say_what_they_are() -> None:
    data = DAGInputData(1, 2, x=3)
    assert (data[0], data[-1], data["x"]) == (1, 2, 3)
    assert repr(data) == "DAGInputData(2 positional arguments; its keyword arguments: x)"
    with pytest.raises(IndexError, match=r"positional argument 2 .* 2 positional arguments"):
        data[2]
    with pytest.raises(KeyError, match=r"'y' of execute.*: x"):
        data["y"]
    with pytest.raises(TypeError, match="int or a str"):
        data[1.5]  # type: ignore[index]
