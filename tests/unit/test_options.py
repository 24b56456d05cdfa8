"""Options: what is accepted, what it means, and how each wrong one is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbactors
from nbactors.definitions.metadata import DYNAMIC, STREAMING, UNLIMITED
from nbactors.options import ActorOptions, CallOptions, InitOptions, TaskOptions, WorkerSetup
from nbactors.options.init_keywords import init_options
from nbactors.util.scheduling_strategies import (
    DoesNotExist,
    Exists,
    In,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    NotIn,
)

BAD_FOR_BOTH: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"num_cpus": -1}, ValueError, "num_cpus cannot be negative"),
    ({"num_cpus": "2"}, TypeError, "keyword 'num_cpus' must be float, int or None, but received type str"),
    ({"num_cpus": float("nan")}, ValueError, "must be finite"),
    ({"num_cpus": float("inf")}, ValueError, "must be finite"),
    ({"num_gpus": 0.00001}, ValueError, "cannot go beyond 0.0001"),
    ({"num_gpus": 1.5}, ValueError, "a share of one GPU"),
    ({"memory": -1}, ValueError, "memory cannot be negative"),
    ({"memory_limit": "much"}, ValueError, "'memory_limit': 'much' is no number of bytes: write for instance '2GiB'"),
    ({"memory_limit": 0}, ValueError, "'memory_limit' must be a positive number of bytes"),
    ({"memory_limit": "0GiB"}, ValueError, "'memory_limit' must be a positive number of bytes"),
    ({"memory_limit": 1e300}, ValueError, "'memory_limit' must be a positive number of bytes"),
    ({"memory_limit": float("nan")}, ValueError, "'memory_limit' must be a positive number of bytes"),
    ({"memory_limit": 1.5}, ValueError, "'memory_limit' must be a whole number of bytes. Got: 1.5, write .* '1.5GiB'"),
    ({"memory_limit": 2e9 + 0.5}, ValueError, "'memory_limit' must be a whole number of bytes. Got: 2000000000.5"),
    ({"memory_limit": True}, TypeError, "'memory_limit' must be int .* received type bool"),
    ({"resources": [1]}, TypeError, "'resources' must be dict or None"),
    ({"resources": {"CPU": 1}}, ValueError, "Use the 'num_cpus' and 'num_gpus' keyword"),
    ({"resources": {"a": -1}}, ValueError, "a cannot be negative"),
    ({"resources": {3: 1}}, TypeError, "must be non-empty strings"),
    ({"name": 3}, TypeError, "'name' must be str or None"),
    ({"runtime_env": 3}, TypeError, "'runtime_env' must be dict or None"),
    ({"runtime_env": {"conda": ["x"]}}, ValueError, r"runtime_env\['conda'\] is not served: .*kernel"),
    ({"runtime_env": {"env_vars": {"a": 1}}}, TypeError, r"must be of type Dict\[str, str\], but the value 1"),
    ({"runtime_env": {"env_vars": {"a=b": "1"}}}, ValueError, "not the name of an environment variable"),
    ({"runtime_env": {"working_dir": "/nowhere"}}, ValueError, "/nowhere is not a valid path"),
    ({"runtime_env": {"py_modules": ["/nowhere"]}}, ValueError, "/nowhere is not a valid path"),
    ({"runtime_env": {"py_modules": "/nowhere"}}, TypeError, "must be a list of paths or modules"),
    ({"scheduling_strategy": "x"}, ValueError, "scheduling_strategy must be None, 'DEFAULT'"),
    ({"scheduling_strategy": 3}, TypeError, "'scheduling_strategy' must be None, 'DEFAULT'"),
    ({"enable_task_events": None}, TypeError, "'enable_task_events' must be bool"),
    ({"nmu_cpus": 1}, ValueError, "Invalid option keyword nmu_cpus .* Did you mean 'num_cpus'.*Valid ones are"),
    ({"label_selector": {"a": 3}}, TypeError, "The values in 'label_selector' must be str"),
    ({"label_selector": {"a": "in(b"}}, ValueError, r"Invalid label selector value `in\(b`"),
    ({"label_selector": {"a": "b" * 64}}, ValueError, "Invalid label selector value `b+`"),
    ({"label_selector": {"-a": "b"}}, ValueError, "Invalid label key name `-a`"),
    ({"label_selector": {"a": "b"}, "fallback_strategy": [3]}, ValueError, "Each element in fallback_strategy"),
    ({"label_selector": 3}, TypeError, "The type of keyword 'label_selector' must be dict or None"),
    ({"fallback_strategy": {}}, TypeError, "The type of keyword 'fallback_strategy' must be list or None"),
    ({"accelerator_type": 3}, TypeError, "The type of keyword 'accelerator_type' must be str or None"),
    ({"_labels": []}, TypeError, "The type of keyword '_labels' must be dict or None"),
    ({"placement_group": object()}, ValueError, "placement_group=.* is not served"),
]
BAD_FOR_ACTORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"name": ""}, ValueError, "cannot be an empty string"),
    ({"name": "  "}, ValueError, "cannot be an empty string"),
    ({"namespace": ""}, ValueError, '"" is not a valid namespace'),
    ({"namespace": 3}, TypeError, "namespace must be None or a string"),
    ({"lifetime": "eternal"}, ValueError, "must be one of 'detached', 'non_detached' and 'None'"),
    ({"lifetime": 3}, TypeError, "'lifetime' must be str or None"),
    ({"get_if_exists": True}, ValueError, "actor name must be specified"),
    ({"get_if_exists": 1, "name": "x"}, TypeError, "'get_if_exists' must be bool"),
    ({"num_returns": 2}, ValueError, "Invalid option keyword num_returns for actors"),
    ({"max_restarts": -2}, ValueError, "only accepts None, 0, -1 or a positive integer"),
    ({"max_restarts": "a"}, TypeError, "'max_restarts' must be int or None"),
    ({"max_task_retries": -2}, ValueError, "only accepts None, 0, -1 or a positive integer"),
    ({"max_concurrency": -1}, ValueError, "only accepts None, 0 or a positive integer"),
    ({"max_concurrency": True}, TypeError, "'max_concurrency' must be int or None"),
    ({"max_concurrency": 1.5}, TypeError, "'max_concurrency' must be int or None"),
    ({"max_pending_calls": -2}, ValueError, "only accepts None, 0, -1 or a positive integer"),
    ({"max_pending_calls": "5"}, TypeError, "'max_pending_calls' must be int or None"),
    ({"allow_out_of_order_execution": 1}, TypeError, "'allow_out_of_order_execution' must be bool"),
    ({"_actor_generator_backpressure_num_objects": 0}, ValueError, "num_objects=0 is not allowed. Use a value > 0"),
    ({"_actor_generator_backpressure_num_objects": "a"}, TypeError, "num_objects' must be int or None"),
    ({"timeout_s": 1}, ValueError, "Invalid option keyword timeout_s for actors"),
]
BAD_GROUPS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"concurrency_groups": ["io"]}, TypeError, "'concurrency_groups' must be dict or None, for example {'io': 2}"),
    ({"concurrency_groups": {3: 2}}, TypeError, "names in 'concurrency_groups' must be str.* int: 3"),
    ({"concurrency_groups": {"": 2}}, ValueError, "must not be empty: the default group has no name"),
    ({"concurrency_groups": {"io": "x"}}, TypeError, "size of the concurrency group 'io' must be int"),
    ({"concurrency_groups": {"io": True}}, TypeError, "size of the concurrency group 'io' must be int"),
    ({"concurrency_groups": {"io": 0}}, ValueError, "'io' must be at least 1. Got: 0"),
]
BAD_FOR_TASKS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"lifetime": "detached"}, ValueError, "Invalid option keyword lifetime for remote functions"),
    ({"num_returns": -1}, ValueError, "num_returns must be >= 0"),
    ({"num_returns": 10_001}, ValueError, "num_returns=10001 is more than one call may return, 10000"),
    ({"num_returns": 1.5}, TypeError, "'num_returns' must be int, 'streaming', 'dynamic' or None"),
    ({"num_returns": True}, TypeError, "'num_returns' must be int, 'streaming', 'dynamic' or None"),
    ({"num_returns": "stream"}, ValueError, "num_returns='stream' is not valid"),
    ({"num_returns": "dynamic"}, ValueError, "num_returns='dynamic' can only be used with generator functions"),
    ({"_generator_backpressure_num_objects": 0}, ValueError, "num_objects=0 is not allowed. Use a value > 0"),
    ({"_generator_backpressure_num_objects": -2}, ValueError, "num_objects=-2 is not allowed. Use a value > 0"),
    ({"_generator_backpressure_num_objects": True}, TypeError, "num_objects' must be int or None"),
    ({"timeout_s": 0}, ValueError, "'timeout_s' must be a positive number of seconds"),
    ({"timeout_s": float("nan")}, ValueError, "'timeout_s' must be a positive number of seconds"),
    ({"timeout_s": float("inf")}, ValueError, "or None for no limit. Got: inf"),
    ({"timeout_s": "1"}, TypeError, "'timeout_s' must be a number of seconds or None"),
    ({"max_concurrency": 2}, ValueError, "Invalid option keyword max_concurrency for remote functions"),
    ({"num_returns": "streaming"}, ValueError, "num_returns='streaming' can only be used with generator functions"),
    ({"max_retries": -2}, ValueError, "only accepts None, 0, -1 or a positive integer"),
    ({"max_retries": "a"}, TypeError, "'max_retries' must be int or None"),
    ({"retry_exceptions": 3}, TypeError, "'retry_exceptions' must be bool, list or tuple"),
    ({"retry_exceptions": [1]}, ValueError, "must be either a boolean or a list of exceptions"),
    ({"max_calls": -1}, ValueError, "only accepts None, 0 or a positive integer"),
    ({"object_store_memory": 4}, ValueError, "'object_store_memory' is not implemented for tasks"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_FOR_BOTH + BAD_FOR_ACTORS, ids=str)
def test_wrong_actor_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ActorOptions.parse(options)
    with pytest.raises(error, match=message):
        ActorOptions().merged(options)


@pytest.mark.parametrize(("options", "error", "message"), BAD_GROUPS, ids=str)
def test_wrong_concurrency_groups_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ActorOptions.parse(options)


def test_concurrency_groups_are_refused_in_options() -> None:
    with pytest.raises(ValueError, match=r"'concurrency_groups' is not supported in '.options\(\)'"):
        ActorOptions().merged({"concurrency_groups": {"io": 2}})


@pytest.mark.parametrize(
    ("given", "max_calls"),
    [
        ({}, 0),
        ({"max_calls": 3}, 3),
        ({"num_gpus": 0.5}, 1),
        ({"num_gpus": 1, "max_calls": 0}, 0),
        ({"num_gpus": 0}, 0),
    ],
    ids=str,
)
def test_a_function_with_gpus_has_a_fresh_worker_for_each_call_by_default(given: Any, max_calls: int) -> None:
    options = TaskOptions.parse(given)
    assert options.max_calls == max_calls
    assert options.merged({"num_gpus": 2}).max_calls == max_calls
    with pytest.raises(ValueError, match=r"'max_calls' is not supported in '.options\(\)'"):
        options.merged({"max_calls": 1})


@pytest.mark.parametrize(("options", "error", "message"), BAD_FOR_BOTH + BAD_FOR_TASKS, ids=str)
def test_wrong_task_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TaskOptions.parse(options)
    with pytest.raises(error, match=message if "max_calls" not in options else "not supported in '.options"):
        TaskOptions().merged(options)


@pytest.mark.parametrize(
    "options",
    [
        {"max_restarts": 0, "max_task_retries": 0, "label_selector": None, "accelerator_type": None},
        {"enable_task_events": True, "placement_group": "default", "placement_group_bundle_index": -1},
    ],
)
def test_an_unserved_option_may_have_its_default(options: dict[str, Any]) -> None:
    assert ActorOptions.parse(options)._replace(given={}) == ActorOptions()


@pytest.mark.parametrize(
    "options",
    [
        {"max_concurrency": None, "concurrency_groups": None, "max_pending_calls": None},
        {"max_concurrency": 0, "concurrency_groups": {}, "max_pending_calls": 0},
        {"concurrency_groups": [], "max_pending_calls": -1, "_actor_generator_backpressure_num_objects": -1},
        {"allow_out_of_order_execution": None, "_actor_generator_backpressure_num_objects": None},
    ],
)
def test_values_without_effect_leave_the_default_concurrency(options: dict[str, Any]) -> None:
    assert ActorOptions.parse(options)._replace(given={}) == ActorOptions()


def test_concurrency_options_are_parsed_and_merged() -> None:
    given = {"max_concurrency": 4, "concurrency_groups": {"io": 2}, "max_pending_calls": 7}
    parsed = ActorOptions.parse({**given, "allow_out_of_order_execution": True})
    assert parsed._replace(given={}) == ActorOptions(**given, allow_out_of_order_execution=True)
    merged = parsed.merged({"max_concurrency": 5})
    assert (merged.max_concurrency, merged.concurrency_groups, merged.max_pending_calls) == (5, {"io": 2}, 7)


def test_a_generator_streams_by_default() -> None:
    def num_returns(options: dict[str, Any]) -> int:
        return TaskOptions.parse(options, generates=True).num_returns

    assert num_returns({}) == num_returns({"num_returns": None}) == num_returns({"num_returns": "streaming"})
    assert num_returns({}) == STREAMING
    assert num_returns({"num_returns": "dynamic"}) == DYNAMIC
    assert num_returns({"num_returns": 3}) == 3
    merged = TaskOptions.parse({"num_returns": 3}, generates=True).merged({"num_returns": None}, generates=True)
    assert merged.num_returns == STREAMING


def test_limits_of_tasks_are_parsed_and_can_be_removed() -> None:
    parsed = TaskOptions.parse({"_generator_backpressure_num_objects": 2, "timeout_s": 3})
    assert (parsed.backpressure, parsed.timeout_s) == (2, 3.0)
    parsed = parsed.merged({"_generator_backpressure_num_objects": None, "timeout_s": None})
    assert (parsed.backpressure, parsed.timeout_s) == (UNLIMITED, None)


@pytest.mark.parametrize("parse", [ActorOptions.parse, TaskOptions.parse])
def test_a_memory_limit_is_no_amount_of_the_resource_memory(parse: Any) -> None:
    parsed = parse({"memory_limit": "2GiB"})
    assert parsed.memory_limit == 2 << 30
    assert "memory" not in parsed.held()
    assert parsed.merged({"memory_limit": 5e8}).memory_limit == 500_000_000
    assert parsed.merged({"memory_limit": None}).memory_limit is None


@pytest.mark.parametrize(
    ("options", "held", "placement"),
    [
        ({}, {}, {"CPU": 1.0}),
        ({"num_cpus": 0}, {}, {}),
        ({"num_cpus": 2}, {"CPU": 2.0}, {"CPU": 2.0}),
        ({"num_cpus": 0.5, "num_gpus": 0.5}, {"CPU": 0.5, "GPU": 0.5}, {"CPU": 0.5, "GPU": 0.5}),
        # As Ray does: who asks for anything but memory holds a CPU as well.
        ({"num_gpus": 1}, {"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0, "GPU": 1.0}),
        ({"resources": {"a": 2}}, {"CPU": 1.0, "a": 2.0}, {"CPU": 1.0, "a": 2.0}),
        ({"memory": 100}, {"memory": 100.0}, {"CPU": 1.0, "memory": 100.0}),
        ({"num_cpus": 1, "resources": {"a": 0}}, {"CPU": 1.0}, {"CPU": 1.0}),
    ],
)
def test_an_actor_holds_its_requested_resources(
    options: dict[str, Any], held: dict[str, float], placement: dict[str, float]
) -> None:
    parsed = ActorOptions.parse(options)
    assert parsed.held() == held
    assert parsed.placement() == placement


def test_a_task_holds_one_cpu_by_default() -> None:
    assert TaskOptions().held() == {"CPU": 1.0}
    assert TaskOptions.parse({"num_cpus": None}).held() == {"CPU": 1.0}
    assert TaskOptions.parse({"num_cpus": 0}).held() == {}
    assert TaskOptions.parse({"num_gpus": 2, "memory": 7}).held() == {"CPU": 1.0, "GPU": 2.0, "memory": 7.0}


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "num_cpus": st.none() | st.integers(0, 8) | st.sampled_from([0.5, 0.25]),
            "num_gpus": st.none() | st.integers(0, 4),
            "memory": st.none() | st.integers(0, 1 << 40),
            "resources": st.none() | st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)),
        },
    )
)
def test_an_actor_never_holds_more_than_it_was_placed_with(options: dict[str, Any]) -> None:
    parsed = ActorOptions.parse(options)
    held, placement = parsed.held(), parsed.placement()
    assert all(0 < amount <= placement[name] for name, amount in held.items())
    assert set(placement) - set(held) <= {"CPU"}


def test_merged_options_replace_those_of_the_class() -> None:
    base = ActorOptions.parse({"num_cpus": 2, "name": "a", "resources": {"r": 1}})
    merged = base.merged({"num_cpus": 1, "resources": None, "lifetime": "detached"})
    assert (merged.num_cpus, merged.name, merged.resources, merged.detached) == (1, "a", {}, True)
    assert base.num_cpus == 2
    task = TaskOptions.parse({"num_returns": 2}).merged({"retry_exceptions": [ValueError]})
    assert (task.num_returns, task.retry_exceptions) == (2, (ValueError,))


def test_options_can_be_pickled() -> None:
    options = TaskOptions.parse({"retry_exceptions": [KeyError], "runtime_env": {"env_vars": {"A": "1"}}})
    assert pickle.loads(pickle.dumps(options)) == options


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"foo": 1}, TypeError, "unexpected keyword argument 'foo'.*Valid ones are"),
        ({"num_returns": -1}, ValueError, "num_returns must be >= 0"),
        ({"num_returns": "all"}, ValueError, "num_returns='all' is not valid"),
        ({"name": 3}, TypeError, "'name' must be str or None"),
        ({"concurrency_group": 3}, TypeError, "'concurrency_group' must be str or None"),
        ({"timeout_s": -1}, ValueError, "'timeout_s' must be a positive number of seconds"),
        ({"_generator_backpressure_num_objects": 0}, ValueError, "num_objects=0 is not allowed"),
        ({"max_task_retries": -3}, ValueError, "only accepts None, 0, -1 or a positive integer"),
        ({"retry_exceptions": KeyError}, TypeError, "'retry_exceptions' must be bool, list or tuple"),
        ({"_labels": {"a": 3}}, ValueError, "Label value must be string"),
    ],
)
def test_wrong_call_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        CallOptions.parse(options)


def test_call_options_are_parsed_and_unknown_ones_refused() -> None:
    assert CallOptions.parse({"num_returns": 0, "name": "n"}) == CallOptions(0, "n")
    assert CallOptions.parse({}) == CallOptions.parse(dict.fromkeys(["name", "concurrency_group", "timeout_s"]))
    assert CallOptions.parse({}) == CallOptions()
    assert CallOptions.parse({"concurrency_group": "io", "timeout_s": 2, "num_returns": "dynamic"}) == CallOptions(
        num_returns=DYNAMIC, concurrency_group="io", timeout_s=2.0
    )
    assert CallOptions.parse({"_generator_backpressure_num_objects": -1}).backpressure == UNLIMITED
    with pytest.raises(AssertionError, match="Unexpected keyword argument to @method: 'foo'"):
        CallOptions.parse_method({"foo": 1})
    with pytest.raises(AssertionError, match="Unexpected keyword argument to @method: 'name'"):
        CallOptions.parse_method({"name": "n"})
    assert CallOptions.parse_method({"timeout_s": 1, "max_task_retries": -1, "retry_exceptions": [KeyError]}) == (
        CallOptions(timeout_s=1.0, max_task_retries=-1, retry_exceptions=(KeyError,))
    )


def test_paths_of_a_runtime_env_become_absolute(tmp_path: Path) -> None:
    module = tmp_path / "thing.py"
    module.write_text("")
    env = WorkerSetup.parse({"working_dir": tmp_path, "py_modules": [str(module), nbactors], "env_vars": {"A": "1"}})
    assert env is not None
    assert env.working_dir == str(tmp_path)
    assert env.py_modules == (str(module), str(Path(nbactors.__file__).parent))
    assert WorkerSetup.parse({}) is None
    assert WorkerSetup.parse(env) == env


def test_a_runtime_env_is_merged_over_that_of_the_session() -> None:
    inner = WorkerSetup({"A": "2", "B": "2"}, "", ("/m",))
    outer = WorkerSetup({"A": "1", "C": "1"}, "/w", ())
    assert inner.over(outer) == WorkerSetup({"A": "2", "B": "2", "C": "1"}, "/w", ("/m",))
    assert inner.over(None) is inner


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"foo": 1}, RuntimeError, r"Unknown keyword argument\(s\): foo.*Valid ones are.*num_cpus"),
        ({"num_cpu": 1}, RuntimeError, "Did you mean 'num_cpus'"),
        ({"address": "my cluster"}, ValueError, "is no address"),
        ({"address": 3}, TypeError, "address must be None"),
        ({"num_cpus": -1}, ValueError, "nonnegative"),
        ({"namespace": ""}, ValueError, "is not a valid namespace"),
        ({"namespace": 3}, TypeError, "namespace must be None or a string"),
        ({"local_mode": True}, ValueError, "no longer supported"),
        ({"_system_config": 3}, TypeError, "must be a dict"),
        ({"_system_config": {"actor_graceful_shutdown_timeout_ms": "a"}}, ValueError, "milliseconds"),
        ({"graceful_shutdown_s": -1}, ValueError, "nonnegative"),
        ({"preload": "numpy"}, TypeError, "must be a list of names of modules"),
        ({"preload": 3}, TypeError, "must be a list of names of modules"),
        ({"preload": [pickle]}, TypeError, "One is module"),
        ({"preload": ["numpy", "a-b"]}, ValueError, "'a-b'"),
        ({"preload": [""]}, ValueError, "as after `import`"),
        ({"preload": [f"m{number}" for number in range(1001)]}, ValueError, "at most 1000"),
        ({"log_to_driver": 1}, TypeError, "'log_to_driver' must be bool"),
        ({"ignore_reinit_error": "yes"}, TypeError, "'ignore_reinit_error' must be bool"),
    ],
)
def test_wrong_init_keywords_are_refused(keywords: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nbactors.init(**keywords)
    assert not nbactors.is_initialized()


def test_init_keywords_become_options() -> None:
    options = init_options(
        "auto",
        {"num_cpus": 2, "resources": {"a": 1}, "log_to_driver": False, "namespace": "n", "preload": ["a", "b.c", "a"]},
        {"_memory": 1000, "_system_config": {"actor_graceful_shutdown_timeout_ms": 500}, "include_dashboard": False},
    )
    assert options == InitOptions(
        namespace="n",
        num_cpus=2,
        resources={"a": 1},
        memory=1000,
        log_to_driver=False,
        graceful_shutdown_s=0.5,
        address="auto",
        preload=("a", "b.c"),
    )


def test_the_default_namespace_is_that_of_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/u/a.ipynb")
    monkeypatch.delitem(__import__("sys").modules, "ipykernel.kernelapp", raising=False)
    assert InitOptions().namespace_or_default() == ""
    monkeypatch.setitem(__import__("sys").modules, "ipykernel.kernelapp", object())
    assert InitOptions().namespace_or_default() == "/home/u/a.ipynb"
    assert InitOptions(namespace="mine").namespace_or_default() == "mine"


@pytest.mark.parametrize("options", [ActorOptions, TaskOptions])
def test_demands_on_labels_are_selectors(options: Any) -> None:
    given = {
        "label_selector": {"zone": "in(a, b)", "team/disk": "!tape", "x": ""},
        "fallback_strategy": [{"label_selector": {"zone": "!in(c)"}}],
    }
    first = (("zone", "in", ("a", "b")), ("team/disk", "not_in", ("tape",)), ("x", "in", ("",)))
    second = (("zone", "not_in", ("c",)),)
    assert options.parse(given).selectors == (first, second)
    hard = {"a": In("1"), "b": NotIn("2"), "c": Exists(), "d": DoesNotExist()}
    terms = (("a", "in", ("1",)), ("b", "not_in", ("2",)), ("c", "exists", ()), ("d", "absent", ()))
    place = NodeLabelSchedulingStrategy(hard, soft={"a": In("9")})
    assert options.parse({**given, "scheduling_strategy": place}).selectors == (terms + first, terms + second)
    assert options.parse({"scheduling_strategy": place}).selectors == (terms,)


@pytest.mark.parametrize("options", [ActorOptions, TaskOptions])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"label_selector": {}, "fallback_strategy": []},
        {"fallback_strategy": [{"label_selector": {"zone": "a"}}]},
        {"label_selector": {"zone": "a"}, "fallback_strategy": [{"label_selector": {}}]},
        {"_labels": {"zone": "a"}},
    ],
)
def test_no_demand_is_no_selector(options: Any, given: dict[str, Any]) -> None:
    assert options.parse(given).selectors == ()


def test_a_kind_of_accelerator_is_a_resource() -> None:
    given = {"accelerator_type": "A100", "resources": {"disk": 1}}
    expected = {"disk": 1.0, "accelerator_type:A100": 0.001}
    assert TaskOptions.parse(given).held() == {"CPU": 1.0, **expected}
    assert ActorOptions.parse(given).held() == {"CPU": 1.0, **expected}
    assert ActorOptions.parse({**given, "num_cpus": 0}).held() == expected


def test_a_node_affinity_is_kept_and_wrong_ones_are_refused() -> None:
    strategy = NodeAffinitySchedulingStrategy("ab" * 28, soft=True)
    assert ActorOptions.parse({"scheduling_strategy": strategy}).scheduling_strategy is strategy
    with pytest.raises(ValueError, match="Invalid node_id"):
        NodeAffinitySchedulingStrategy("not hex", soft=False)
    with pytest.raises(TypeError, match="soft must be True or False"):
        NodeAffinitySchedulingStrategy("ab" * 28, soft="yes")  # type: ignore[arg-type]
