"""Actor classes, handles and remote functions above the seam, on an engine that runs nothing."""

from __future__ import annotations

import copy
import functools
import gc
import pickle
import sys
import types
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import cloudpickle
import pytest
from recording_engine import RecordingEngine

import nbactors as ray
from nbactors.actor import ActorClass, ActorClassInheritanceException, ActorHandle, ActorMethod, actor_meta
from nbactors.definitions import importable
from nbactors.definitions.metadata import DYNAMIC, STREAMING, UNLIMITED, ActorMeta
from nbactors.exceptions import ActorUnschedulableError
from nbactors.options import CallOptions
from nbactors.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class Base:
    def inherited(self) -> None: ...


class Counter(Base):
    """Counts."""

    LIMIT = 10

    def __init__(self, start: int, step: int = 1) -> None: ...

    def add(self, amount: int, *, times: int = 1) -> int:
        """Add."""
        return amount

    def named(self, args: int, kwargs: int, self_: int, name: int, task_id: int) -> None: ...

    @ray.method(num_returns=2)
    def pair(self) -> tuple[int, int]:
        return 1, 2

    @classmethod
    def made_by(cls, who: str) -> str:
        return f"{cls.__name__} by {who}"

    @staticmethod
    def twice(number: int) -> int:
        return 2 * number

    @functools.lru_cache  # noqa: B019
    def cached(self, key: str) -> None: ...

    def _helper(self) -> Iterator[int]:
        yield 1

    def __getitem__(self, index: int) -> int:
        return index

    @property
    def size(self) -> int:
        return 1


CounterActor: ActorClass[Counter] = ray.remote(Counter)


@ray.remote
class Decorated:
    def again(self) -> Any:
        return Decorated.remote()


@ray.remote
def recursive(number: int) -> Any:
    """Call itself."""
    return recursive.remote(number - 1)


def last(recorded: RecordingEngine) -> tuple[Any, ...]:
    return recorded.asked[-1]


def handle_of(recorded: RecordingEngine) -> Any:
    return CounterActor.remote(1)


# ----------------------------------------------------------------------------------------------------- actor classes


def test_class_attributes_work_on_the_actor_class() -> None:
    actor: Any = CounterActor
    assert actor.LIMIT == 10
    assert actor.made_by("me") == "Counter by me"
    assert actor.twice(3) == 6
    assert actor.__doc__ == "Counts."
    assert repr(actor) == "ActorClass(Counter)"
    with pytest.raises(AttributeError, match="actor class 'Counter' has no attribute 'nothing'"):
        _ = actor.nothing


def test_calling_the_class_shows_the_right_call() -> None:
    with pytest.raises(TypeError, match=r"cannot be instantiated directly. Instead of 'Counter\(\)', use 'Counter.rem"):
        CounterActor(1)


def test_subclassing_is_refused() -> None:
    with pytest.raises(
        ActorClassInheritanceException, match="Inheriting from actor classes is not currently support"
    ) as told:

        class Sub(CounterActor):  # type: ignore[misc, valid-type]
            pass

    assert "In the class's own methods, type(self) is the class" in str(told.value)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'start'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"size": 3}, "got an unexpected keyword argument 'size'"),
    ],
)
def test_wrong_constructor_arguments_are_refused_before_the_engine_is_asked(
    recorded: RecordingEngine, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{message}.*Counter\\(start, step=1\\)"):
        CounterActor.remote(*args, **kwargs)
    assert recorded.asked == []


def test_options_reach_the_engine_and_leave_the_class_unchanged(recorded: RecordingEngine) -> None:
    CounterActor.options(num_cpus=2, name="c").remote(1, step=2)
    _, cls, options, args, kwargs = last(recorded)
    assert (cls, args, kwargs) == (Counter, (1,), {"step": 2})
    assert (options.num_cpus, options.name) == (2, "c")
    CounterActor.remote(1)
    assert last(recorded)[2].name is None


def test_get_if_exists_ignores_arguments_of_an_existing_actor(recorded: RecordingEngine) -> None:
    options = CounterActor.options(name="c", get_if_exists=True)
    with pytest.raises(TypeError, match="missing a required argument: 'start'"):
        options.remote()
    first = options.remote(1)
    assert options.remote() == first


def test_a_hard_affinity_to_a_missing_node_is_refused(recorded: RecordingEngine) -> None:
    def placed(node_id: str, soft: bool) -> Any:
        return CounterActor.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft)).remote(1)

    placed("01" * 28, soft=False)
    placed("02" * 28, soft=True)
    with pytest.raises(ActorUnschedulableError, match="node specified via NodeAffinitySchedulingStrategy"):
        placed("02" * 28, soft=False)


def test_a_class_without_constructor_takes_no_arguments(recorded: RecordingEngine) -> None:
    class Plain:
        pass

    ray.remote(Plain).remote()
    with pytest.raises(TypeError, match="too many positional arguments"):
        ray.remote(Plain).remote(1)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def __ray_shutdown__(self, x): pass", r"__ray_shutdown__ must be a synchronous method .* Got: \(x\)"),
        ("async def __ray_shutdown__(self): pass", "__ray_shutdown__ must be a synchronous method .* Got: async"),
        ("async def __ray_shutdown__(self): yield", "__ray_shutdown__ must be a synchronous method"),
        ("__ray_shutdown__ = 3", "__ray_shutdown__ must be a method. Got: int"),
    ],
)
def test_a_shutdown_hook_that_cannot_be_called_is_refused(body: str, message: str) -> None:
    scope: dict[str, Any] = {"__name__": __name__}
    exec(f"class Thing:\n    {body}\n", scope)
    with pytest.raises(ValueError, match=message):
        ray.remote(scope["Thing"])


@pytest.mark.parametrize("thing", [3, len, functools.partial(print), CounterActor, recursive, None])
def test_only_functions_and_classes_can_be_remote(thing: Any) -> None:
    with pytest.raises(TypeError, match="must be applied to either a function or a class"):
        ray.remote(num_cpus=1)(thing)


def test_empty_parentheses_are_refused() -> None:
    with pytest.raises(AssertionError, match="no arguments and no parentheses"):
        ray.remote()
    with pytest.raises(AssertionError, match="no arguments and no parentheses"):
        ray.remote(Counter, num_cpus=1)  # type: ignore[call-overload]


def test_coroutine_functions_are_refused() -> None:
    async def coroutine() -> None: ...
    async def asynchronous_generator() -> AsyncIterator[int]:
        yield 1

    for function in (coroutine, asynchronous_generator):
        with pytest.raises(ValueError, match="'async def' should not be used for remote tasks"):
            ray.remote(function)


def test_generator_functions_stream(recorded: RecordingEngine) -> None:
    def generator() -> Iterator[int]:
        yield 1

    @functools.wraps(generator)
    def wrapper() -> Any:
        return generator()

    for function in (ray.remote(generator), ray.remote(wrapper), pickle_round_trip(ray.remote(generator))):
        function.remote()
        function.options(num_returns=2).remote()
        function.options(num_returns="dynamic").remote()
        assert [asked[-1].num_returns for asked in recorded.asked] == [STREAMING, 2, DYNAMIC]
        recorded.asked.clear()
    for word in ("streaming", "dynamic"):
        with pytest.raises(
            ValueError, match=f"num_returns='{word}' can only be used with generator .*recursive is not"
        ):
            recursive.options(num_returns=word)


def pickle_round_trip(thing: Any) -> Any:
    return cloudpickle.loads(cloudpickle.dumps(thing))


def test_the_metadata_lists_all_methods_and_can_be_pickled() -> None:
    meta = actor_meta(Counter)
    assert set(meta.methods) == {
        "__getitem__", "__ray_call__", "__ray_ready__", "__ray_terminate__", "_helper", "add", "cached", "inherited",
        "made_by", "named", "pair", "twice",
    }  # fmt: skip
    assert meta.methods["pair"].num_returns == 2
    assert meta.methods["add"].doc == "Add."
    assert meta.methods["made_by"].signature.positional == ("who",)
    assert meta.methods["twice"].signature.positional == ("number",)
    assert pickle.loads(pickle.dumps(meta)) == meta


class Many:
    def plain(self) -> None: ...
    def counted(self) -> Iterator[int]:
        yield 1

    @ray.method(num_returns="dynamic", _generator_backpressure_num_objects=2)
    def kept(self) -> Iterator[int]:
        yield 1

    @ray.method(concurrency_group="io", num_returns=2)
    def pair(self) -> Iterator[int]:
        yield 1
        yield 2


class AsyncMany(Many):
    async def streamed(self) -> AsyncIterator[int]:
        yield 1


def test_the_metadata_of_generators_has_their_options() -> None:
    methods = actor_meta(AsyncMany).methods
    found = {name: (methods[name].generates, methods[name].num_returns) for name in ("plain", "counted", "streamed")}
    assert found == {"plain": (False, 1), "counted": (True, STREAMING), "streamed": (True, STREAMING)}
    assert (methods["kept"].num_returns, methods["kept"].backpressure) == (DYNAMIC, 2)
    assert (methods["pair"].num_returns, methods["pair"].group) == (2, "io")
    assert (methods["plain"].group, methods["plain"].backpressure) == ("", UNLIMITED)


@pytest.mark.parametrize(
    ("body", "is_async"),
    [
        ("def method(self): pass", False),
        ("def method(self): yield", False),
        ("async def method(self): pass", True),
        ("async def method(self): yield", True),
        ("async def _hidden(self): pass", True),
        ("async def __aenter__(self): pass", True),
        ("@staticmethod\n    async def method(): pass", True),
        ("@classmethod\n    async def method(cls): pass", True),
        ("@functools.wraps(Asynchronous.method)\n    def method(self): pass", False),
        ("@functools.wraps(Plain.method)\n    async def method(self): pass", True),
        ("method = functools.partialmethod(Asynchronous.method)", True),
    ],
)
def test_an_async_method_makes_the_actor_asynchronous(body: str, is_async: bool) -> None:
    class Asynchronous:
        async def method(self) -> None: ...

    class Plain:
        def method(self) -> None: ...

    scope: dict[str, Any] = {"__name__": __name__, "functools": functools, **locals()}
    exec(f"class Thing:\n    {body}\nclass Derived(Thing): pass", scope)
    assert actor_meta(scope["Thing"]).is_async is is_async
    assert actor_meta(scope["Derived"]).is_async is is_async


def test_an_overridden_async_method_does_not_make_the_actor_asynchronous() -> None:
    class Asynchronous:
        async def method(self) -> None: ...

    class Derived(Asynchronous):
        def method(self) -> None: ...  # type: ignore[override]

    assert not actor_meta(Derived).is_async


@pytest.mark.parametrize(
    ("cls", "options", "in_order"),
    [
        (Counter, {}, True),
        (Counter, {"max_concurrency": 1}, True),
        (Counter, {"max_concurrency": 2}, False),
        (Counter, {"max_concurrency": 2, "allow_out_of_order_execution": True}, False),
        (Counter, {"concurrency_groups": {"a": 3}}, True),
        (Counter, {"allow_out_of_order_execution": False, "concurrency_groups": {"a": 3}}, True),
        (Counter, {"allow_out_of_order_execution": True}, False),
        (AsyncMany, {"concurrency_groups": {"io": 1}}, False),
        (AsyncMany, {"concurrency_groups": {"io": 1}, "max_concurrency": 1}, False),
    ],
)
def test_calls_run_in_order_unless_they_overlap_or_it_is_allowed(
    recorded: RecordingEngine, cls: type, options: dict[str, Any], in_order: bool
) -> None:
    meta = meta_of(ray.remote(num_cpus=1, **options)(cls).remote)
    assert meta.in_order is in_order
    assert meta.groups == tuple(options.get("concurrency_groups", ()))


def meta_of(create: Any) -> ActorMeta:
    meta: ActorMeta = create(**({"start": 1} if "Counter" in repr(create.__self__) else {}))._meta
    return meta


def test_options_reach_the_handle(recorded: RecordingEngine) -> None:
    base = ray.remote(concurrency_groups={"io": 2, "compute": 1})(Many)
    assert meta_of(base.remote).groups == ("io", "compute")
    changed = meta_of(base.options(max_concurrency=2, max_pending_calls=3).remote)
    assert (changed.groups, changed.in_order, changed.max_pending_calls) == (("io", "compute"), False, 3)
    again = meta_of(base.options(max_concurrency=2).options(max_concurrency=1).remote)
    assert (again.in_order, again.max_pending_calls) == (True, UNLIMITED)
    assert meta_of(pickle_round_trip(base).remote).groups == ("io", "compute")


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (AsyncMany, {"concurrency_groups": {"io": 1}}, "not possible for async actors"),
        (Counter, {"max_concurrency": 2}, "not possible for multi-threaded actors"),
    ],
)
def test_in_order_execution_is_refused_if_calls_overlap(cls: type, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ray.remote(allow_out_of_order_execution=False, **options)(cls)
    with pytest.raises(ValueError, match=message):
        ray.remote(**{"num_cpus": 1, **options})(cls).options(allow_out_of_order_execution=False)


def test_a_methods_group_must_be_declared() -> None:
    with pytest.raises(ValueError, match=r"Many.pair: there is no concurrency group 'io'. The class has none"):
        ray.remote(Many)
    with pytest.raises(ValueError, match=r"'io'. Did you mean 'ios'\? The class has 'ios', 'compute'"):
        ray.remote(concurrency_groups={"ios": 1, "compute": 2})(Many)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_returns": "streaming"}, ValueError, "'streaming' can only be used with generator .*plain is not"),
        ({"num_returns": "dynamic"}, ValueError, "'dynamic' can only be used with generator .*plain is not"),
        ({"concurrency_group": 3}, TypeError, "'concurrency_group' must be str or None"),
        ({"_generator_backpressure_num_objects": 0}, ValueError, "num_objects=0 is not allowed"),
        ({"name": "n"}, AssertionError, "Unexpected keyword argument to @method: 'name'"),
        ({"timeout_s": 0}, ValueError, "'timeout_s' must be a positive number of seconds"),
    ],
)
def test_wrong_method_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    def plain(self: Any) -> None: ...

    with pytest.raises(error, match=message):
        ray.method(**options)(plain)


# ------------------------------------------------------------------------------------------------ handles and methods


def test_calls_reach_the_link_with_arguments_and_options(recorded: RecordingEngine) -> None:
    handle = handle_of(recorded)
    handle.add.remote(1)
    handle.add.remote(1, times=3)
    handle.named.remote(args=1, kwargs=2, self_=3, name=4, task_id=5)
    handle.made_by.remote("me")
    handle.add.options(name="n", num_returns=3).remote(1)
    handle.__ray_call__.remote(print, 1, key=2)
    assert handle._link.calls == [
        ("add", (1,), {}, None),
        ("add", (1,), {"times": 3}, None),
        ("named", (), {"args": 1, "kwargs": 2, "self_": 3, "name": 4, "task_id": 5}, None),
        ("made_by", ("me",), {}, None),
        ("add", (1,), {}, CallOptions(3, "n")),
        ("__ray_call__", (print, 1), {"key": 2}, None),
    ]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'amount'"),
        ((1, 2), {}, "too many positional arguments"),
        ((1,), {"amount": 1}, "multiple values for argument 'amount'"),
        ((1,), {"q": 1}, "got an unexpected keyword argument 'q'"),
    ],
)
def test_wrong_arguments_are_refused_before_the_call(
    recorded: RecordingEngine, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    handle = handle_of(recorded)
    with pytest.raises(TypeError, match=f"^{message}.*Counter.add\\(amount, \\*, times=1\\)"):
        handle.add.remote(*args, **kwargs)
    assert handle._link.calls == []


def test_calling_a_method_shows_the_right_call(recorded: RecordingEngine) -> None:
    handle = handle_of(recorded)
    with pytest.raises(TypeError, match=r"Instead of running 'object.add\(\)', try 'object.add.remote\(\)'"):
        handle.add(1)
    with pytest.raises(TypeError, match=r"__ray_ready__\.remote"):
        handle.__ray_ready__()


def test_an_unknown_method_raises_an_error_with_a_hint(recorded: RecordingEngine) -> None:
    handle = handle_of(recorded)
    with pytest.raises(AttributeError, match=r"'ActorHandle' object has no attribute 'ad'.*Did you mean 'add'"):
        _ = handle.ad
    with pytest.raises(AttributeError, match=r"has no attribute 'size'.*Attributes live in the actor's process"):
        _ = handle.size
    assert not hasattr(handle, "_repr_html_")


def test_call_options_reach_the_link_and_wrong_ones_are_refused(recorded: RecordingEngine) -> None:
    handle: Any = ray.remote(concurrency_groups={"io": 2})(Many).remote()
    handle.plain.options(concurrency_group="io", timeout_s=5).remote()
    handle.plain.options(concurrency_group="").remote()
    handle.counted.options(num_returns="dynamic", _generator_backpressure_num_objects=3).remote()
    assert [call[-1] for call in handle._link.calls] == [
        CallOptions(concurrency_group="io", timeout_s=5.0),
        CallOptions(),
        CallOptions(num_returns=DYNAMIC, backpressure=3),
    ]
    with pytest.raises(ValueError, match=r"Many.plain: there is no concurrency group 'oi'.*The class has 'io'"):
        handle.plain.options(concurrency_group="oi")
    with pytest.raises(ValueError, match=r"num_returns='streaming' can only be used with .*Many.plain is not"):
        handle.plain.options(num_returns="streaming")


def test_a_handle_lists_its_methods_and_shows_their_parameters(recorded: RecordingEngine) -> None:
    handle = handle_of(recorded)
    assert {"add", "inherited", "__ray_terminate__"} <= set(dir(handle))
    assert repr(handle) == f"Actor(Counter, {handle._actor_id.hex()})"
    assert "add(amount, *, times=1)" in repr(handle.add)
    assert "Add." in handle.add.__doc__


def test_handles_are_equal_after_any_round_trip(recorded: RecordingEngine) -> None:
    handle = handle_of(recorded)
    _ = handle.add
    for again in (
        pickle.loads(pickle.dumps(handle)),
        pickle.loads(cloudpickle.dumps(handle)),
        copy.copy(handle),
        copy.deepcopy(handle),
    ):
        assert again == handle
        assert hash(again) == hash(handle)
    assert handle != handle_of(recorded)
    assert handle != 3


def test_a_method_of_a_handle_can_be_pickled(recorded: RecordingEngine) -> None:
    method = pickle.loads(pickle.dumps(handle_of(recorded).add.options(name="n")))
    assert isinstance(method, ActorMethod)
    method.remote(1)
    assert method._link.calls == [("add", (1,), {}, CallOptions(None, "n"))]  # type: ignore[attr-defined]


def test_a_handle_is_freed_without_a_garbage_collection(recorded: RecordingEngine) -> None:
    """No cycle keeps it, so the actor ends with the last handle and not with the next collection."""
    recorded.asked.clear()
    gc.disable()
    try:
        handle = handle_of(recorded)
        handle.add.remote(1)
        link = weakref.ref(handle._link)
        method = handle.add
        del handle
        assert link() is not None
        del method
        assert link() is None
    finally:
        gc.enable()


# ---------------------------------------------------------------------------------------------------- remote functions


def test_a_remote_function_submits_a_task_and_checks_its_arguments(recorded: RecordingEngine) -> None:
    recursive.remote(1)
    _, function, args, kwargs, options = last(recorded)
    assert (args, kwargs) == ((1,), {})
    assert function is recursive.__wrapped__
    recursive.options(num_returns=2, num_cpus=0).remote(number=1)
    assert last(recorded)[4].num_returns == 2
    assert options.num_returns == 1
    assert recursive.__doc__ == "Call itself."
    with pytest.raises(TypeError, match="too many positional arguments"):
        recursive.remote(1, 2)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"cannot be called directly. Instead of running .*recursive\(\)', try '"):
        recursive(1)


# ------------------------------------------------------------------------------------------------------------ pickling


def test_importable_classes_and_functions_are_pickled_by_name() -> None:
    assert pickle.loads(pickle.dumps(recursive)) is recursive
    assert pickle.loads(pickle.dumps(Decorated)) is Decorated
    assert len(pickle.dumps(Decorated)) < 150


def test_a_decorated_class_is_found_by_its_name() -> None:
    inner = Decorated.__wrapped__  # type: ignore[attr-defined]
    address = importable.address_of(inner, inner.__module__, inner.__qualname__)
    assert address == (__name__, "Decorated")
    assert pickle.loads(pickle.dumps(importable.ByName(address))) is inner
    assert importable.address_of(Counter, __name__, "Counter") == (__name__, "Counter")
    assert importable.load_inner(__name__, "Counter") is Counter
    assert importable.address_of(Counter, __name__, "Nothing") is None
    assert importable.address_of(Counter, "__main__", "Counter") is None


def test_a_class_is_pickled_by_name_while_another_thread_imports_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", types.ModuleType("cloudpickle"))  # as its import begins
    assert importable.address_of(Counter, __name__, "Counter") == (__name__, "Counter")


def test_classes_of_a_module_by_value_are_not_pickled_by_name() -> None:
    module = sys.modules[__name__]
    ray.register_pickle_by_value(module)
    try:
        assert importable.address_of(Counter, __name__, "Counter") is None
    finally:
        ray.unregister_pickle_by_value(module)
    assert importable.address_of(Counter, __name__, "Counter") is not None


NOTEBOOK = """
import nbactors as ray

@ray.remote
def countdown(n):
    return n if n == 0 else countdown.remote(n - 1)

@ray.remote(num_cpus=2)
class Node:
    "A node."
    TOP = 1
    def child(self):
        return Node.remote(), countdown
"""


def test_self_referring_definitions_of_a_notebook_are_pickled_by_value(recorded: RecordingEngine) -> None:
    notebook = types.ModuleType("__main__")
    exec(NOTEBOOK, notebook.__dict__)
    countdown = pickle.loads(cloudpickle.dumps(notebook.countdown))  # type: ignore[attr-defined]
    assert countdown.__wrapped__.__globals__["countdown"] is countdown
    countdown.remote(3)
    assert last(recorded)[2] == (3,)
    node = pickle.loads(cloudpickle.dumps(notebook.Node))  # type: ignore[attr-defined]
    assert isinstance(node, ActorClass)
    assert (node.TOP, node.__doc__) == (1, "A node.")
    node.remote()
    assert last(recorded)[2].num_cpus == 2
    handle, inner = node.__wrapped__().child()
    assert isinstance(handle, ActorHandle)
    assert inner.__name__ == "countdown"


def test_instances_of_the_users_class_are_instances_of_its_actor_class() -> None:
    actor_class: Any = ray.remote(Counter)
    assert isinstance(Counter(1), actor_class)
    assert not isinstance(Base(), actor_class)
    assert not isinstance(3, (actor_class, str))
    assert issubclass(Counter, actor_class)
    assert not issubclass(Base, actor_class)


def test_a_handle_is_refused_as_an_instance_of_its_actor_class(recorded: RecordingEngine) -> None:
    actor_class: Any = ray.remote(Counter)
    handle = actor_class.remote(1)
    with pytest.raises(TypeError, match=r"Counter is an actor class, and a handle is no instance of it\. Use isinst"):
        isinstance(handle, actor_class)
    assert isinstance(handle, ActorHandle)


def test_attributes_are_those_of_the_users_class() -> None:
    class Counter:
        step = 1

    made: Any = ray.remote(Counter)
    made.step += 1
    made.other = 3
    assert (Counter.step, Counter.other) == (2, 3)  # type: ignore[attr-defined]
    del made.other
    made.__doc__ = "its own"
    assert (hasattr(Counter, "other"), Counter.__doc__, made.__doc__) == (False, None, "its own")
    del made.__doc__
    with pytest.raises(AttributeError, match="other"):
        del made.other
