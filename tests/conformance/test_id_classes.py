"""The classes of ids: bytes, text, equality, pickling."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from conformance.subjects import Counter, echo

RANDOM = ["ActorClassID", "ActorID", "ClusterID", "FunctionID", "NodeID", "PlacementGroupID", "UniqueID", "WorkerID"]
ALL = ["JobID", "TaskID", *RANDOM]
SIZES = {"JobID": 4, "TaskID": 24, "ActorID": 16, "PlacementGroupID": 18, "NodeID": 28, "UniqueID": 28}


@pytest.fixture(params=ALL)
def kind(request: pytest.FixtureRequest, ray: Any) -> Any:
    return getattr(ray, request.param)


def test_sizes_are_those_of_ray(ray: Any) -> None:
    assert {name: getattr(ray, name).size() for name in SIZES} == SIZES


def test_the_bytes_and_their_text(kind: Any) -> None:
    binary = bytes(range(kind.size()))
    made = kind(binary)
    assert made.binary() == binary
    assert made.hex() == binary.hex()
    assert repr(made) == str(made) == f"{kind.__name__}({binary.hex()})"
    assert made == kind.from_binary(binary)
    assert not made.is_nil()


def test_nil(kind: Any) -> None:
    assert kind.nil().is_nil()
    assert kind.nil() == kind.nil()
    assert kind.nil().hex() == "ff" * kind.size()


def test_equal_ids_have_equal_hashes(kind: Any) -> None:
    first, second, other = (kind(bytes([number]) * kind.size()) for number in (1, 1, 2))
    assert first == second
    assert hash(first) == hash(second)
    assert first != other
    assert first != first.binary()
    assert len({first, second, other}) == 2


def test_pickling(ray: Any, kind: Any) -> None:
    made = kind(bytes([5]) * kind.size())
    assert pickle.loads(pickle.dumps(made)) == made
    back = ray.get(ray.remote(echo).remote({made: "value"}))
    assert back == {made: "value"}


def test_other_bytes_are_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match=f"ID string needs to have length {kind.size()}, got 1"):
        kind(b"x")
    with pytest.raises(TypeError, match="expected bytes"):
        kind(None)


@pytest.mark.parametrize("name", [name for name in ALL if name != "UniqueID"])
def test_from_text(ray: Any, name: str) -> None:
    kind = getattr(ray, name)
    made = kind(bytes(range(kind.size())))
    assert kind.from_hex(made.hex()) == made


@pytest.mark.differs("on Ray wrong text gives the nil id")
def test_wrong_text_is_refused(kind: Any) -> None:
    for text in ("ab", "zz" * kind.size(), ""):
        with pytest.raises(ValueError, match=r"needs to have length|non-hexadecimal"):
            kind.from_hex(text)
    with pytest.raises(TypeError, match="expected str"):
        kind.from_hex(None)


@pytest.mark.parametrize("name", RANDOM)
def test_random_ids_differ(ray: Any, name: str) -> None:
    kind = getattr(ray, name)
    assert len({kind.from_random() for _ in range(10)}) == 10


def test_ids_of_different_kinds_differ(ray: Any) -> None:
    assert ray.NodeID.nil() != ray.UniqueID.nil()
    assert issubclass(ray.NodeID, ray.UniqueID)


def test_jobs_have_numbers(ray: Any) -> None:
    made = ray.JobID.from_int(5)
    assert (made.int(), made.binary()) == (5, b"\x05\0\0\0")


def test_an_actor_s_id_contains_that_of_its_job(ray: Any) -> None:
    job, parent = ray.JobID.from_int(3), ray.TaskID(bytes(range(24)))
    made = ray.ActorID.of(job, parent, 5)
    assert made == ray.ActorID.of(job, parent, 5) != ray.ActorID.of(job, parent, 6)
    assert made.job_id == job
    actor = ray.remote(Counter).remote()
    assert actor._actor_id.job_id.hex() == ray.get_runtime_context().get_job_id()
    of_nested = ray.get(ray.remote(lambda: (held := ray.remote(Counter).remote()) and held._actor_id.job_id).remote())
    assert of_nested.hex() == ray.get_runtime_context().get_job_id()


def test_the_id_of_a_construction_contains_that_of_its_actor(ray: Any) -> None:
    actor_id = ray.ActorID.of(ray.JobID.from_int(3), ray.TaskID(bytes(range(24))), 5)
    made = ray.TaskID.for_actor_creation_task(actor_id)
    assert (made.actor_id(), made.job_id()) == (actor_id, ray.JobID.from_int(3))


@pytest.mark.differs("Ray's ids of calls contain that of the actor")
def test_the_id_of_another_call_tells_where_its_actor_is_found(ray: Any) -> None:
    ref = ray.remote(echo).remote()
    for ask in (ref.task_id().actor_id, ref.task_id().job_id):
        with pytest.raises(ValueError, match=r"get_task\('[0-9a-f]{48}'\)"):
            ask()


def test_the_context_has_ids_of_these_kinds(ray: Any) -> None:
    def ids() -> list[str]:
        context = ray.get_runtime_context()
        return [context.get_job_id(), context.get_node_id(), context.get_worker_id(), context.get_task_id()]

    kinds = [ray.JobID, ray.NodeID, ray.WorkerID, ray.TaskID]
    texts = ray.get(ray.remote(ids).remote())
    assert [kind.from_hex(text).hex() for kind, text in zip(kinds, texts, strict=True)] == texts
    actor = ray.remote(Counter).remote()
    text = ray.get(actor.__ray_call__.remote(lambda self: ray.get_runtime_context().get_actor_id()))
    assert ray.ActorID.from_hex(text).hex() == text


def test_a_reference_names_its_call(ray: Any) -> None:
    ref = ray.remote(echo).remote()
    assert isinstance(ref.task_id(), ray.TaskID)
    assert ref.task_id().binary() == ref.binary()[:24]
    assert ray.ObjectID is ray.ObjectRef
    assert ray.ObjectRef.size() == 28
