"""Labels of the node, and what options demand of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.subjects import Counter, echo


class Labels:
    """A session with labels, and Ray's strategies."""

    def __init__(self, ray: Any, module_name: str) -> None:
        self.ray = ray
        self.strategies = importlib.import_module(f"{module_name}.util.scheduling_strategies")

    def strategy(self, **demands: Any) -> Any:
        return self.strategies.NodeLabelSchedulingStrategy(demands)

    def runs(self, **options: Any) -> bool:
        """Whether a task and an actor with these options run, within a long time."""
        return bool(self.ray.get(self._made(options), timeout=40) == [1, 1])

    def waits(self, **options: Any) -> bool:
        """Whether both wait for a short time."""
        made = self._made(options)
        return bool(self.ray.wait(made, num_returns=2, timeout=0.3) == ([], made))

    def _made(self, options: dict[str, Any]) -> list[Any]:
        actor = self.ray.remote(Counter).options(**options).remote()
        return [self.ray.remote(echo).options(**options).remote(1), actor.increment.remote()]


@pytest.fixture(scope="module")
def _labelled(_module: Any, module_name: str, _extra_options: dict[str, Any]) -> Iterator[Labels]:
    _module.shutdown()
    options = {"num_cpus": 4, "resources": {"accelerator_type:X9": 1}, "labels": {"zone": "a", "disk": "ssd"}}
    _module.init(**options, **_extra_options)
    yield Labels(_module, module_name)
    _module.shutdown()


@pytest.fixture
def labels(_labelled: Labels) -> Labels:
    return _labelled


FULFILLED: list[dict[str, Any]] = [
    {"label_selector": {"zone": "a"}},
    {"label_selector": {"zone": "in(a, b)", "disk": "ssd"}},
    {"label_selector": {"zone": "!b"}},
    {"label_selector": {"zone": "!in(b,c)"}},
    {"label_selector": {"colour": "!red"}},
    {"label_selector": {}},
    {"label_selector": None},
    {"label_selector": {"zone": "b"}, "fallback_strategy": [{"label_selector": {"zone": "a"}}]},
    {"fallback_strategy": [{"label_selector": {"zone": "b"}}]},
    {"accelerator_type": "X9"},
    {"_labels": {"team": "data"}},
]
UNFULFILLED: list[dict[str, Any]] = [
    {"label_selector": {"zone": "b"}},
    {"label_selector": {"zone": "!a"}},
    {"label_selector": {"zone": "!in(a,b)"}},
    {"label_selector": {"zone": "a", "disk": "tape"}},
    {"label_selector": {"colour": "red"}},
    {"label_selector": {"zone": "b"}, "fallback_strategy": [{"label_selector": {"zone": "c"}}]},
    {"accelerator_type": "X8"},
]


class TestSelectors:
    @pytest.mark.parametrize("options", FULFILLED, ids=str)
    def test_what_the_node_fulfils_runs(self, labels: Labels, options: dict[str, Any]) -> None:
        assert labels.runs(**options)

    @pytest.mark.parametrize("options", UNFULFILLED, ids=str)
    def test_what_it_does_not_fulfil_waits(self, labels: Labels, options: dict[str, Any]) -> None:
        assert labels.waits(**options)

    def test_the_node_s_id_is_a_label(self, labels: Labels) -> None:
        assert labels.runs(label_selector={"ray.io/node-id": labels.ray.get_runtime_context().get_node_id()})

    def test_what_waits_delays_nothing_and_can_be_cancelled(self, labels: Labels) -> None:
        waiting = [labels.ray.remote(echo).options(label_selector={"zone": "b"}).remote(n) for n in range(20)]
        assert labels.ray.get(labels.ray.remote(echo).remote("runs"), timeout=30) == "runs"
        for ref in waiting:
            labels.ray.cancel(ref)
        with pytest.raises(labels.ray.exceptions.TaskCancelledError, match=r"^"):
            labels.ray.get(waiting[0], timeout=30)

    def test_a_waiting_actor_can_be_killed(self, labels: Labels) -> None:
        actor = labels.ray.remote(Counter).options(label_selector={"zone": "b"}).remote()
        called = actor.increment.remote()
        labels.ray.kill(actor)
        with pytest.raises(labels.ray.exceptions.RayActorError, match=r"kill"):
            labels.ray.get(called, timeout=30)

    @pytest.mark.parametrize(
        ("options", "error", "text"),
        [
            ({"label_selector": "a"}, TypeError, "keyword 'label_selector' must be"),
            ({"label_selector": {"zone": 1}}, TypeError, r"int"),
            ({"label_selector": {1: "a"}}, TypeError, r"int"),
            ({"label_selector": {"zone": "in()"}}, ValueError, r"Invalid label selector value `in\(\)`"),
            ({"label_selector": {"zone": "a b"}}, ValueError, "Invalid label selector value `a b`"),
            ({"label_selector": {"": "a"}}, ValueError, "Invalid label key name ``"),
            ({"label_selector": {"a//b": "a"}}, ValueError, "Invalid label key prefix `a/`"),
            ({"fallback_strategy": {}}, TypeError, "keyword 'fallback_strategy' must be"),
            ({"fallback_strategy": [1]}, ValueError, "Each element in fallback_strategy must be a dictionary"),
            ({"fallback_strategy": [{}]}, ValueError, "Empty dictionary found"),
            ({"fallback_strategy": [{"name": "x"}]}, ValueError, "Unsupported option found: 'name'"),
            ({"fallback_strategy": [{"label_selector": 5}]}, ValueError, 'The value of "label_selector" must be'),
            ({"accelerator_type": 5}, TypeError, "keyword 'accelerator_type' must be"),
            ({"_labels": 5}, TypeError, "keyword '_labels' must be"),
            ({"_labels": {"a": 5}}, ValueError, "Label value must be string"),
        ],
    )
    def test_a_wrong_value_is_refused(
        self, labels: Labels, options: dict[str, Any], error: type[Exception], text: str
    ) -> None:
        with pytest.raises(error, match=text):
            labels.ray.remote(echo).options(**options).remote(1)
        with pytest.raises(error, match=text):
            labels.ray.remote(Counter).options(**options).remote()


class TestStrategy:
    def test_what_the_node_fulfils_runs(self, labels: Labels) -> None:
        found = labels.strategies
        for demands in (
            {"zone": found.In("a", "b")},
            {"zone": found.NotIn("b"), "colour": found.NotIn("red")},
            {"zone": found.Exists()},
            {"colour": found.DoesNotExist()},
        ):
            assert labels.runs(scheduling_strategy=labels.strategy(**demands))
        soft = found.NodeLabelSchedulingStrategy({}, soft={"zone": found.In("b")})
        assert labels.runs(scheduling_strategy=soft)

    def test_what_it_does_not_fulfil_waits(self, labels: Labels) -> None:
        found = labels.strategies
        for demands in (
            {"zone": found.In("b")},
            {"zone": found.NotIn("a")},
            {"colour": found.Exists()},
            {"zone": found.DoesNotExist()},
            {"zone": found.In("a"), "disk": found.In("tape")},
        ):
            assert labels.waits(scheduling_strategy=labels.strategy(**demands))

    def test_it_holds_beside_a_selector(self, labels: Labels) -> None:
        place = labels.strategy(zone=labels.strategies.In("a"))
        assert labels.waits(scheduling_strategy=place, label_selector={"disk": "tape"})
        assert labels.runs(scheduling_strategy=place, label_selector={"disk": "ssd"})

    @pytest.mark.parametrize("given", [None, {}, 5, {"a": 5}, {1: "In"}])
    def test_wrong_demands_are_refused(self, labels: Labels, given: Any) -> None:
        with pytest.raises(ValueError, match="parameter"):
            labels.strategies.NodeLabelSchedulingStrategy(given)

    @pytest.mark.parametrize("name", ["In", "NotIn"])
    def test_wrong_values_are_refused(self, labels: Labels, name: str) -> None:
        with pytest.raises(ValueError, match="must be a non-empty tuple"):
            getattr(labels.strategies, name)()
        with pytest.raises(ValueError, match="must be str"):
            getattr(labels.strategies, name)(1)


class TestLabelsOfTheNode:
    def test_they_are_listed(self, labels: Labels, module_name: str) -> None:
        (node,) = labels.ray.nodes()
        mine = labels.ray.get_runtime_context().get_node_labels()
        assert mine.items() >= {"zone": "a", "disk": "ssd", "ray.io/node-id": node["NodeID"]}.items()
        assert node["Labels"] == mine

        @labels.ray.remote
        def ask(module: str = module_name) -> Any:
            return importlib.import_module(module).get_runtime_context().get_node_labels()

        assert labels.ray.get(ask.remote(), timeout=30) == mine

    @pytest.mark.differs("wrong labels are refused with an error that names them")
    @pytest.mark.parametrize(
        ("given", "error", "text"),
        [
            (5, TypeError, "keyword 'labels' must be dict"),
            ({1: "a"}, TypeError, "keys in 'labels' must be str"),
            ({"a": 1}, ValueError, "Label value must be string"),
        ],
    )
    def test_wrong_ones_are_refused(
        self, init: Callable[..., Any], fresh: Any, given: Any, error: type[Exception], text: str
    ) -> None:
        with pytest.raises(error, match=text):
            init(labels=given)
        assert not fresh.is_initialized()


def test_the_names_of_accelerators(ray: Any, module_name: str) -> None:
    found = importlib.import_module(f"{module_name}.util.accelerators")
    assert (found.NVIDIA_A100, found.NVIDIA_H100, found.NVIDIA_TESLA_T4) == ("A100", "H100", "T4")
    assert (found.AMD_INSTINCT_MI300x, found.GOOGLE_TPU_V4) == ("AMD-Instinct-MI300X-OAM", "TPU-V4")
    assert ray.is_initialized()
