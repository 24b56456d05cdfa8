"""The verbs above the seam: what they refuse, and what they hand on."""

from __future__ import annotations

import os
from typing import Any

import pytest
from recording_engine import RecordingEngine, RecordingLink, make_ref

import nbactors as ray
from nbactors import engine
from nbactors.actor import actor_meta


def test_get_passes_references_and_timeout_to_the_engine(recorded: RecordingEngine) -> None:
    one, two = make_ref(1), make_ref(2)
    assert ray.get(one) == one.hex()
    assert ray.get([one, two]) == [one.hex(), two.hex()]
    ray.get([], timeout=0)
    ray.get(one, timeout=-1)
    assert recorded.asked == [
        ("get", [one], None),
        ("get", [one, two], None),
        ("get", [], 0),
        ("get", [one], None),
    ]


def test_get_returns_a_generator_unchanged(recorded: RecordingEngine) -> None:
    generator: Any = ray.ObjectRefGenerator(None, make_ref(1))
    assert ray.get(generator) is generator
    assert recorded.asked == []


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "message"),
    [
        ((3,), {}, ValueError, "Invalid type of object refs, <class 'int'>, is given. .*list of ObjectRefs"),
        (((make_ref(1),),), {}, ValueError, "Invalid type of object refs, <class 'tuple'>"),
        (([3],), {}, TypeError, "Attempting to call `get` on the value 3, which is not an ObjectRef"),
        (([make_ref(1), None],), {}, TypeError, "on the value None, which is not"),
        ((make_ref(1),), {"timeout": -2}, ValueError, "timeout must be nonnegative"),
        ((make_ref(1),), {"timeout": float("nan")}, ValueError, "timeout must be nonnegative"),
        ((make_ref(1),), {"timeout": "1"}, TypeError, "timeout must be a number of seconds"),
    ],
)
def test_wrong_arguments_of_get_are_refused(
    recorded: RecordingEngine, args: tuple[Any, ...], kwargs: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ray.get(*args, **kwargs)
    assert recorded.asked == []


def test_put_returns_a_reference_and_refuses_references_and_owners(recorded: RecordingEngine) -> None:
    assert isinstance(ray.put(3), ray.ObjectRef)
    with pytest.raises(TypeError, match="Calling 'put' on an ObjectRef is not allowed"):
        ray.put(make_ref(1))
    with pytest.raises(ValueError, match="_owner"):
        ray.put(1, _owner=object())  # type: ignore[arg-type]


def test_wait_splits_the_references(recorded: RecordingEngine) -> None:
    refs = [make_ref(number) for number in range(3)]
    assert ray.wait(refs) == (refs[:1], refs[1:])
    assert ray.wait(refs, num_returns=3, timeout=0, fetch_local=False) == (refs, [])
    assert ray.wait([]) == ([], [])
    assert ray.wait([], num_returns=5) == ([], [])
    assert recorded.asked == [("wait", refs, 1, None, True), ("wait", refs, 3, 0, False)]


REF = make_ref(1)


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "message"),
    [
        ((REF,), {}, TypeError, "expected a list of ObjectRef, got a single ObjectRef"),
        ((3,), {}, TypeError, "expected a list of ObjectRef, got <class 'int'>"),
        (((REF,),), {}, TypeError, "got <class 'tuple'>"),
        (([3],), {}, TypeError, "got list containing <class 'int'>"),
        (([REF, REF],), {}, ValueError, "unique ray_waitables"),
        (([REF],), {"num_returns": 0}, ValueError, "Invalid number of objects to return 0"),
        (([REF],), {"num_returns": 2}, ValueError, "num_returns cannot be greater than the number"),
        (([REF],), {"num_returns": "1"}, TypeError, "num_returns must be a number"),
        (([REF],), {"timeout": -1}, ValueError, "'timeout' argument must be nonnegative. Received -1"),
        (([REF],), {"timeout": "1"}, TypeError, "'timeout' argument must be a number"),
    ],
)
def test_wrong_arguments_of_wait_are_refused(
    recorded: RecordingEngine, args: tuple[Any, ...], kwargs: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ray.wait(*args, **kwargs)
    assert recorded.asked == []


def test_cancel_passes_its_flags_to_the_engine(recorded: RecordingEngine) -> None:
    ray.cancel(REF)
    ray.cancel(REF, force=True, recursive=False)
    ray.cancel(ray.ObjectRefGenerator(None, REF), interrupt=True)
    assert recorded.asked == [
        ("cancel", REF, False, True, False),
        ("cancel", REF, True, False, False),
        ("cancel", REF, False, True, True),
    ]


@pytest.mark.parametrize(
    ("ref", "kwargs", "error", "message"),
    [
        (3, {}, TypeError, r"only supported for object refs. For actors, try kill\(\). Got: <class 'int'>"),
        ([REF], {}, TypeError, "Got: <class 'list'>"),
        (None, {}, TypeError, "Got: <class 'NoneType'>"),
        (REF, {"force": 1}, TypeError, "'force' must be bool"),
        (REF, {"recursive": None}, TypeError, "'recursive' must be bool"),
        (REF, {"interrupt": "yes"}, TypeError, "'interrupt' must be bool"),
        (REF, {"interrupt": True, "force": True}, ValueError, "either end the process, or interrupt what it runs"),
    ],
)
def test_wrong_arguments_of_cancel_are_refused(
    recorded: RecordingEngine, ref: Any, kwargs: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ray.cancel(ref, **kwargs)
    assert recorded.asked == []


def test_cancel_refuses_a_handle(recorded: RecordingEngine) -> None:
    class Task:
        def completed(self) -> None: ...

    with pytest.raises(TypeError, match=r"For actors, try kill\(\). Got: <class 'nbactors.actor.ActorHandle'>"):
        ray.cancel(ray.remote(Task).remote())


@pytest.mark.parametrize("actor", [3, "counter", REF, None])
def test_kill_refuses_everything_but_a_handle(recorded: RecordingEngine, actor: Any) -> None:
    with pytest.raises(ValueError, match=r"kill\(\) only supported for actors"):
        ray.kill(actor)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((None,), ValueError, "supply a non-empty value"),
        (("",), ValueError, "supply a non-empty value"),
        (("  ",), ValueError, "supply a non-empty value"),
        ((3,), TypeError, "'name' must be str"),
        (("x", 3), TypeError, "namespace must be None or a string"),
        (("x", ""), ValueError, "is not a valid namespace"),
        (("x",), ValueError, "Failed to look up actor with name"),
    ],
)
def test_wrong_arguments_of_get_actor_are_refused(
    recorded: RecordingEngine, args: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ray.get_actor(*args)


@pytest.mark.parametrize("verb", [ray.available_resources, ray.cluster_resources, ray.nodes])
def test_listings_need_a_session(verb: Any) -> None:
    with pytest.raises(ray.exceptions.RaySystemError, match=r"has not been started yet.*Call init\(\)"):
        verb()


def test_listings_come_from_the_engine(recorded: RecordingEngine) -> None:
    assert ray.available_resources() == {"CPU": 1.0}
    assert ray.cluster_resources() == {"CPU": 2.0}
    assert ray.nodes()[0]["Alive"]
    assert ray.util.list_named_actors() == []
    with pytest.raises(TypeError, match="all_namespaces must be True or False"):
        ray.util.list_named_actors("yes")  # type: ignore[call-overload]


def test_a_second_init_is_refused_unless_allowed(recorded: RecordingEngine) -> None:
    with pytest.raises(RuntimeError, match=r"called init twice by accident.*ignore_reinit_error=True"):
        ray.init()
    context = ray.init(ignore_reinit_error=True)
    assert context["namespace"] == context.address_info["namespace"] == "space"
    assert "namespace=space" in repr(context)
    assert "resources=2 CPU, 1.5 GiB memory," in repr(context)
    html = context._repr_html_()
    assert "&lt;tmp&gt;" in html
    assert "<script" not in html


def test_the_context_ends_the_session(recorded: RecordingEngine) -> None:
    with ray.init(ignore_reinit_error=True):
        assert ray.is_initialized()
    assert not ray.is_initialized()
    assert recorded.asked[-1] == ("shutdown",)
    ray.shutdown()


def test_exit_actor_is_refused_outside_an_actor(recorded: RecordingEngine) -> None:
    with pytest.raises(TypeError, match="exit_actor API is called on a non-actor worker"):
        ray.actor.exit_actor()


def test_the_runtime_context_of_a_driver_has_no_task_and_no_actor(recorded: RecordingEngine) -> None:
    context = ray.get_runtime_context()
    assert context.get_job_id() == "02" * 4
    assert context.get_node_id() == "01" * 28
    assert context.get_worker_id() == "03" * 16
    assert context.namespace == "space"
    for name in ("get_actor_id", "get_actor_name", "get_task_id", "get_task_name", "get_task_function_name"):
        assert getattr(context, name)() is None
    assert context.get_placement_group_id() is None
    assert context.get_node_labels() == {"ray.io/node-id": "01" * 28}
    assert context.current_placement_group_id.is_nil()
    assert context.runtime_env == {}
    assert context.get_runtime_env_string() == "{}"
    assert context.get_session_name() == "session_" + "01" * 28
    assert (context.get_temp_dir(), context.gcs_address) == ("", "")
    assert context.get_accelerator_ids() == {"GPU": []}
    assert context.get() == {"job_id": "02" * 4, "node_id": "01" * 28, "namespace": "space"}
    assert ray.get_gpu_ids() == []
    with pytest.raises(AssertionError, match="only available when the process is a worker"):
        context.get_assigned_resources()
    with pytest.raises(RuntimeError, match="only available in an actor"):
        _ = context.current_actor
    with pytest.raises(AssertionError, match="only available in an actor"):
        _ = context.was_current_actor_reconstructed
    with pytest.raises(RuntimeError, match="only available when the process is a worker"):
        context.is_canceled()


class Plain:
    def method(self) -> None: ...


class Asynchronous:
    async def method(self) -> None: ...


def run_inside(recorded: RecordingEngine, monkeypatch: pytest.MonkeyPatch, cls: type | None, canceled: bool) -> None:
    """Let the recorded engine say that the caller is a task, or a method of an actor of that class."""
    actor_id = b"" if cls is None else b"\4" * 16
    recorded.facts = recorded.facts._replace(is_driver=False, actor_id=actor_id, is_canceled=canceled)
    if cls is not None:
        monkeypatch.setattr(recorded, "current_actor", lambda: (RecordingLink(actor_id), actor_meta(cls)))


@pytest.mark.parametrize("canceled", [False, True])
@pytest.mark.parametrize("cls", [None, Plain])
def test_is_canceled_returns_the_engine_s_answer(
    recorded: RecordingEngine, monkeypatch: pytest.MonkeyPatch, cls: type | None, canceled: bool
) -> None:
    run_inside(recorded, monkeypatch, cls, canceled)
    assert ray.get_runtime_context().is_canceled() is canceled


def test_is_canceled_is_refused_in_an_async_actor(recorded: RecordingEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    run_inside(recorded, monkeypatch, Asynchronous, True)
    with pytest.raises(RuntimeError, match=r"not supported in an async actor: .* asyncio\.CancelledError"):
        ray.get_runtime_context().is_canceled()


def test_a_forked_child_has_no_session(recorded: RecordingEngine) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if engine.running() is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert engine.running() is recorded


@pytest.mark.parametrize("module", ["json", 3, None])
def test_registration_by_value_refuses_everything_but_a_module(module: Any) -> None:
    with pytest.raises(TypeError, match="Give the module itself"):
        ray.register_pickle_by_value(module)
