"""Graphs of calls: what `.bind(...)` describes, and what `.execute(...)` makes of it."""

from __future__ import annotations

import importlib
import pickle
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from conformance.subjects import Counter, Echo, Journal, echo


class Pair(NamedTuple):
    left: Any
    right: Any


@pytest.fixture
def dag(ray: Any, module_name: str) -> Any:
    """The module of the nodes."""
    return importlib.import_module(f"{module_name}.dag")


@pytest.fixture
def add(ray: Any) -> Any:
    @ray.remote
    def add(left: Any, right: Any = 1) -> Any:
        return left + right

    return add


@pytest.fixture
def noting(ray: Any, journal: Journal) -> Callable[[str], Any]:
    """Make a remote function that notes each of its calls, and returns its name."""

    def make(name: str) -> Any:
        def call(*needed: Any) -> str:
            journal.note(name)
            return name

        return ray.remote(call)

    return make


class TestFunctions:
    def test_execute_makes_the_call(self, ray: Any, add: Any) -> None:
        assert ray.get(add.bind(1, right=2).execute()) == 3

    def test_bind_makes_no_call(self, ray: Any, noting: Any, journal: Journal) -> None:
        node = noting("first").bind()
        assert journal.lines() == []
        ray.get(node.execute())
        assert journal.lines() == ["first"]

    def test_nodes_stand_for_arguments(self, ray: Any, add: Any) -> None:
        assert ray.get(add.bind(add.bind(1), right=add.bind(add.bind(2), 3)).execute()) == 8

    def test_a_node_that_is_used_twice_runs_once(self, ray: Any, noting: Any, journal: Journal) -> None:
        shared = noting("shared").bind()
        left, right = noting("left").bind(shared), noting("right").bind([shared], shared)
        ray.get(noting("end").bind(left, right, shared).execute())
        assert sorted(journal.lines()) == ["end", "left", "right", "shared"]

    def test_each_execution_makes_the_calls_again(self, ray: Any, noting: Any, journal: Journal) -> None:
        node = noting("call").bind()
        assert ray.get([node.execute(), node.execute()]) == ["call", "call"]
        assert journal.lines() == ["call", "call"]

    def test_nodes_inside_containers_become_references(self, ray: Any, add: Any) -> None:
        @ray.remote
        def total(*nested: Any, **named: Any) -> Any:
            (first,), (second,), kept = nested
            (third,) = named["more"]["deep"]
            return sum(ray.get([first, second["key"], third])) + kept

        node = total.bind([add.bind(1)], ({"key": add.bind(2)},), add.bind(3), more={"deep": [add.bind(4)]})
        assert ray.get(node.execute()) == 2 + 3 + 4 + 5

    def test_containers_keep_their_class(self, ray: Any, add: Any) -> None:
        given: Any = defaultdict(list, {"pair": Pair(add.bind(1), 5), "set": frozenset([add.bind(2)])})
        got = ray.get(ray.remote(echo).bind(given).execute())
        assert (type(got).__name__, type(got["pair"]).__name__, type(got["set"])) == ("defaultdict", "Pair", frozenset)
        assert ray.get([got["pair"].left, *got["set"]]) == [2, 3]
        assert got["new"] == []

    def test_options_hold_for_the_call(self, ray: Any) -> None:
        first, second = ray.remote(lambda: (1, 2)).options(num_returns=2).bind().execute()
        assert ray.get([second, first]) == [2, 1]

    def test_a_failed_call_fails_those_that_need_it(self, ray: Any, add: Any) -> None:
        @ray.remote
        def fail() -> None:
            raise KeyError("origin")

        with pytest.raises(KeyError, match="origin"):
            ray.get(add.bind(add.bind(fail.bind())).execute())

    def test_arguments_that_do_not_fit_are_refused(self, ray: Any, add: Any) -> None:
        with pytest.raises(TypeError, match="missing"):
            add.bind().execute()

    def test_a_graph_can_be_passed_to_a_task(self, ray: Any, add: Any) -> None:
        @ray.remote
        def run(graph: Any) -> int:
            return int(ray.get(graph.execute()))

        assert ray.get(run.remote(add.bind(add.bind(1), 2))) == 4

    @pytest.mark.differs("Ray's walk is recursive")
    def test_a_graph_may_be_deeper_than_the_stack(self, ray: Any, add: Any) -> None:
        node = add.bind(0)
        for _ in range(1500):
            node = add.bind(node)
        assert ray.get(node.execute()) == 1501

    @pytest.mark.differs("on Ray it is a RecursionError")
    def test_a_circle_is_refused(self, ray: Any, add: Any) -> None:
        parts: list[Any] = []
        node = add.bind(parts)
        parts.append(add.bind(node))
        with pytest.raises(ValueError, match="circle"):
            node.execute()


class TestActors:
    def test_a_bound_class_is_an_actor(self, ray: Any) -> None:
        handle = ray.remote(Counter).bind(10).execute()
        assert ray.get(handle.increment.remote()) == 11

    def test_each_execution_creates_the_actor_once(self, ray: Any, add: Any) -> None:
        counter = ray.remote(Counter).bind(10)
        graph = add.bind(counter.increment.bind(), counter.increment.bind())
        assert ray.get([graph.execute(), graph.execute()]) == [23, 23]

    def test_calls_of_an_actor_run_in_the_order_of_bind(self, ray: Any) -> None:
        counter = ray.remote(Counter).bind(1)
        counter.add.bind(1)  # nothing needs its result
        second = counter.add.bind(10)
        counter.add.bind(100)
        assert ray.get(second.execute()) == 12
        assert ray.get(counter.get_counter.bind().execute()) == 112

    def test_nodes_are_arguments_of_constructors_and_methods(self, ray: Any, add: Any) -> None:
        counter = ray.remote(Counter).bind(add.bind(1))
        assert ray.get(counter.add.bind(add.bind(counter.increment.bind())).execute()) == 7

    def test_an_actor_is_an_argument_of_a_call(self, ray: Any) -> None:
        @ray.remote
        def use(counter: Any) -> int:
            return int(ray.get(counter.increment.remote()))

        assert ray.get(use.bind(ray.remote(Counter).bind(4)).execute()) == 5

    def test_options_of_classes_and_methods_hold(self, ray: Any, name: str, dag: Any) -> None:
        counter = ray.remote(Counter).options(name=name).bind(3)
        call = counter.increment.options(name="renamed").bind()
        handle, ref = dag.MultiOutputNode([counter, call]).execute()
        assert ray.get(ref) == 4
        assert ray.get_actor(name) == handle

    def test_a_method_of_a_handle_is_a_node(self, ray: Any, add: Any) -> None:
        counter = ray.remote(Counter).remote(100)
        graph = add.bind(counter.add.bind(add.bind(4)), 0)
        assert ray.get([graph.execute(), graph.execute()]) == [105, 110]
        assert ray.get(counter.increment.options(name="renamed").bind().execute()) == 111

    def test_a_method_of_a_handle_with_two_results_is_two_nodes(self, ray: Any, add: Any) -> None:
        @ray.remote
        class Divider:
            @ray.method(num_returns=2)
            def divide(self, left: int, right: int) -> Any:
                return divmod(left, right)

        quotient, rest = Divider.remote().divide.bind(17, 5)
        assert ray.get(add.bind(quotient, rest).execute()) == 5

    def test_an_unknown_method_is_refused(self, ray: Any) -> None:
        with pytest.raises(AttributeError, match="incremen"):
            ray.remote(Counter).bind().incremen  # noqa: B018

    def test_remote_on_a_method_is_refused(self, ray: Any) -> None:
        with pytest.raises(AttributeError, match=r"\.remote\(\) cannot be used"):
            ray.remote(Counter).bind().increment.remote()

    def test_a_class_may_have_a_method_bind(self, ray: Any) -> None:
        @ray.remote
        class Binder:
            def bind(self, value: int) -> int:
                return value

        assert ray.get(Binder.bind().bind.bind(5).execute()) == 5

    def test_the_input_is_no_argument_of_a_constructor(self, ray: Any, dag: Any) -> None:
        with dag.InputNode() as data, pytest.raises(ValueError, match="InputNode"):
            ray.remote(Counter).bind(data)

    @pytest.mark.differs("Ray finds only those that are not inside a container")
    def test_neither_is_a_node_that_needs_it(self, ray: Any, dag: Any, add: Any) -> None:
        with dag.InputNode() as data, pytest.raises(ValueError, match="InputNode"):
            ray.remote(Echo).bind([add.bind(data.first)])


class TestInput:
    def test_one_argument_is_the_input(self, ray: Any, dag: Any, add: Any) -> None:
        with dag.InputNode() as data:
            graph = add.bind(add.bind(data), data)
        assert ray.get([graph.execute(1), graph.execute(2)]) == [3, 5]
        assert ray.get(graph.execute(ray.put(3))) == 7

    def test_items_and_attributes_are_nodes(self, ray: Any, dag: Any, add: Any) -> None:
        with dag.InputNode() as data:
            assert ray.get(add.bind(data[0], data[1]).execute([1, 2])) == 3
            assert ray.get(add.bind(data["a"], data["b"]).execute({"a": 1, "b": 2})) == 3
            assert ray.get(add.bind(data.left, data.right).execute(Pair(1, 2))) == 3

    def test_several_arguments_are_items(self, ray: Any, dag: Any, add: Any) -> None:
        with dag.InputNode() as data:
            assert ray.get(add.bind(data[0], data.x).execute(1, x=2)) == 3
            assert ray.get(add.bind(data[0], data[1]).execute(1, 2)) == 3
            assert ray.get(add.bind(data["x"], data.y).execute(x=1, y=2)) == 3

    def test_a_function_can_take_several_arguments_as_one(self, ray: Any, dag: Any) -> None:
        with dag.InputNode() as data:
            graph = ray.remote(lambda given: [given[0], given["x"]]).bind(data)
        assert ray.get(graph.execute(1, x=2)) == [1, 2]

    def test_a_method_takes_the_input(self, ray: Any, dag: Any) -> None:
        with dag.InputNode() as data:
            graph = ray.remote(Counter).bind(1).add.bind(data)
        assert ray.get([graph.execute(1), graph.execute(5)]) == [2, 6]

    def test_an_input_is_a_result(self, ray: Any, dag: Any) -> None:
        with dag.InputNode() as data:
            assert data.execute(4) == 4
            assert data[1].execute([4, 5]) == 5

    def test_input_without_need_is_ignored(self, ray: Any, add: Any) -> None:
        assert ray.get(add.bind(1).execute(5, x=6)) == 2

    def test_missing_items_are_refused(self, ray: Any, dag: Any, add: Any) -> None:
        with dag.InputNode() as data:
            with pytest.raises(IndexError, match=r"positional argument 2 |out of range"):
                add.bind(data[2]).execute(1, 2)
            with pytest.raises(KeyError, match="y"):
                add.bind(data.y).execute(1, x=2)
            with pytest.raises(AttributeError, match="no attribute 'x'"):
                add.bind(data.x).execute([1, 2])

    @pytest.mark.differs("Ray calls the functions with an empty input")
    def test_execute_without_the_input_is_refused(self, ray: Any, dag: Any, add: Any) -> None:
        with dag.InputNode() as data:
            for graph in (add.bind(data), add.bind(data[0]), add.bind(data.x)):
                with pytest.raises(TypeError, match=r"without arguments.*graph\.execute\(value\)"):
                    graph.execute()

    def test_an_input_outside_of_a_with_block_is_refused(self, ray: Any, dag: Any, add: Any) -> None:
        with pytest.raises(AssertionError, match=r"with block|context manager"):
            add.bind(dag.InputNode()).execute(1)

    def test_two_inputs_are_refused(self, ray: Any, dag: Any, add: Any) -> None:
        with dag.InputNode() as first, dag.InputNode() as second, pytest.raises(AssertionError, match="one"):
            add.bind(first, second).execute(1)

    def test_an_item_of_an_item_is_no_node(self, ray: Any, dag: Any) -> None:
        with dag.InputNode() as data:
            with pytest.raises(TypeError, match=r"items of the input itself|not subscriptable"):
                data[0][1]
            with pytest.raises(AttributeError, match="no attribute 'inner'"):
                data.outer.inner  # noqa: B018

    @pytest.mark.differs("Ray's InputNode is an endless iterable")
    def test_an_input_is_not_iterable(self, dag: Any) -> None:
        with dag.InputNode() as data, pytest.raises(TypeError, match=r"node\[0\]"):
            list(data)


class TestOutputs:
    def test_several_nodes_are_a_list(self, ray: Any, dag: Any, add: Any) -> None:
        with dag.InputNode() as data:
            shared = add.bind(data)
            graph = dag.MultiOutputNode([shared, add.bind(shared), data, 5])
        first, second, given, plain = graph.execute(1)
        assert (ray.get([first, second]), given, plain) == ([2, 3], 1, 5)

    def test_a_tuple_is_taken_and_one_node_is_not(self, ray: Any, dag: Any, add: Any) -> None:
        assert ray.get(dag.MultiOutputNode((add.bind(1),)).execute()) == [2]
        with pytest.raises(ValueError, match="FunctionNode"):
            dag.MultiOutputNode(add.bind(1))


class TestNodes:
    def test_classes_of_nodes(self, ray: Any, dag: Any, add: Any) -> None:
        counter = ray.remote(Counter).bind()
        assert isinstance(add.bind(1), dag.FunctionNode)
        assert isinstance(counter, dag.ClassNode)
        assert isinstance(counter.increment.bind(), dag.ClassMethodNode)
        assert isinstance(ray.remote(Counter).remote().increment.bind(), dag.ClassMethodNode)
        assert issubclass(dag.InputNode, dag.DAGNode)
        assert counter.increment.bind().get_method_name() == "increment"

    def test_a_node_shows_its_arguments(self, ray: Any, add: Any) -> None:
        node = add.bind(1, right=2)
        assert (node.get_args(), node.get_kwargs()) == ((1,), {"right": 2})

    @pytest.mark.parametrize("verb", ["bind", "remote"])
    def test_a_node_cannot_be_bound_or_called(self, ray: Any, add: Any, verb: str) -> None:
        for node in (add.bind(1), ray.remote(Counter).bind(), ray.remote(Counter).bind().increment.bind()):
            with pytest.raises(AttributeError, match=rf"\.{verb}\(\) cannot be used|no attribute '{verb}'"):
                getattr(node, verb)()

    @pytest.mark.differs("Ray compiles graphs")
    def test_a_graph_is_not_compiled(self, ray: Any, add: Any) -> None:
        with pytest.raises(NotImplementedError, match=r"no compiled graphs.*execute"):
            add.bind(1).experimental_compile()

    @pytest.mark.differs("Ray's representation is of many lines")
    def test_a_node_has_a_short_representation(self, ray: Any, dag: Any) -> None:
        with dag.InputNode() as data:
            node = ray.remote(echo).bind([ray.remote(Counter).bind(1).add.bind(data), data.x])
        assert repr(node) == "FunctionNode(echo([add(…), input.x(…)]))"
        assert repr(data["key"]) == "InputAttributeNode(input['key'])"

    @pytest.mark.differs("Ray needs its own pickle for remote functions")
    def test_nodes_can_be_pickled(self, ray: Any, dag: Any) -> None:
        task, actor_class = ray.remote(echo), ray.remote(Counter)
        with dag.InputNode() as data:
            graph = task.bind(actor_class.bind(1).add.bind(data))
        assert ray.get(pickle.loads(ray_pickle(graph)).execute(2)) == 3


def ray_pickle(value: Any) -> bytes:
    import cloudpickle

    return bytes(cloudpickle.dumps(value))
