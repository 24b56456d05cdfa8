"""References made of ids, and the facts that a reference tells."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from conformance.subjects import Counter, echo


class Keeper:
    """Keeps an object that it owns, and tells only the object's id."""

    def __init__(self, module: str) -> None:
        import importlib

        self.ref = importlib.import_module(module).put("kept")

    def id(self) -> bytes:
        return self.ref.binary()  # type: ignore[no-any-return]

    def give(self) -> list[Any]:
        return [self.ref]


def value_of(module: str, object_id: bytes) -> Any:
    import importlib

    ray = importlib.import_module(module)
    return ray.get(ray.ObjectRef.from_binary(object_id), timeout=30)


class TestFacts:
    def test_of_a_value(self, ray: Any) -> None:
        ref = ray.put(1)
        assert ray.ObjectRef.size() == len(ref.binary()) == 28
        assert ref.job_id() == ray.JobID.from_hex(ray.get_runtime_context().get_job_id())
        assert isinstance(ref.task_id(), ray.TaskID)
        assert isinstance(ref.owner_address(), bytes)
        assert ref.owner_address()
        assert ref.call_site() == ""
        assert ref.tensor_transport() is None
        assert not ref.is_nil()

    def test_references_of_one_process_have_one_owner(self, ray: Any) -> None:
        first, second = ray.put(1), ray.remote(Counter).remote().increment.remote()
        assert first.owner_address() == second.owner_address()

    def test_nil(self, ray: Any) -> None:
        nil = ray.ObjectRef.nil()
        assert nil.is_nil()
        assert nil.hex() == "ff" * 28
        assert nil.task_id().is_nil()
        assert nil.owner_address() == b""
        with pytest.raises(ValueError, match="is nil"):
            nil.job_id()

    def test_random(self, ray: Any) -> None:
        first, second = ray.ObjectRef.from_random(), ray.ObjectRef.from_random()
        assert first.binary() != second.binary()
        assert not first.is_nil()


class TestFromBinary:
    def test_of_a_value(self, ray: Any) -> None:
        ref = ray.put("value")
        again = ray.ObjectRef.from_binary(ref.binary())
        assert again == ref
        assert hash(again) == hash(ref)
        assert ray.get(again) == "value"

    def test_of_a_result(self, ray: Any) -> None:
        ref = ray.remote(echo).remote("value")
        assert ray.get(ray.ObjectRef.from_binary(ref.binary()), timeout=30) == "value"

    def test_it_keeps_the_object(self, ray: Any) -> None:
        ref = ray.put("value")
        again = ray.ObjectRef.from_binary(ref.binary())
        del ref
        assert ray.get(again) == "value"

    @pytest.mark.differs("an id of a living object is enough to get its value; Ray cannot find its owner")
    @pytest.mark.differs_on_cluster("as on Ray, an id alone does not tell who owns an object of another process")
    def test_in_another_process(self, ray: Any, module_name: str) -> None:
        ref = ray.put("value")
        assert ray.get(ray.remote(value_of).remote(module_name, ref.binary()), timeout=30) == "value"
        keeper = ray.remote(Keeper).remote(module_name)
        assert ray.get(ray.ObjectRef.from_binary(ray.get(keeper.id.remote())), timeout=30) == "kept"

    @pytest.mark.parametrize("size", [0, 1, 27, 29])
    def test_other_sizes_are_refused(self, ray: Any, size: int) -> None:
        with pytest.raises(ValueError, match=f"ID string needs to have length 28, got {size}"):
            ray.ObjectRef.from_binary(b"x" * size)

    @pytest.mark.parametrize("value", ["a", None, 5])
    def test_other_types_are_refused(self, ray: Any, value: Any) -> None:
        with pytest.raises(TypeError, match="expected bytes"):
            ray.ObjectRef.from_binary(value)


@pytest.mark.differs("Ray's `get` of an id without an object waits until its time-out, or raises a ValueError")
class TestWithoutObject:
    @pytest.mark.parametrize("make", ["nil", "from_random"])
    def test_get_raises_at_once(self, ray: Any, make: str) -> None:
        with pytest.raises(ray.exceptions.ObjectLostError, match="Failed to retrieve object"):
            ray.get(getattr(ray.ObjectRef, make)())

    def test_of_a_freed_object(self, ray: Any, module_name: str) -> None:
        object_id = ray.put("value").binary()
        with pytest.raises(ray.exceptions.ObjectLostError, match="Its owner freed it"):
            ray.get(ray.ObjectRef.from_binary(object_id))
        with pytest.raises(ray.exceptions.ObjectLostError, match="Its owner freed it"):
            ray.get(ray.remote(value_of).remote(module_name, object_id), timeout=30)

    def test_it_is_ready_and_keeps_nobody_from_waiting_for_others(self, ray: Any) -> None:
        async def read(ref: Any) -> Any:
            return await ref

        lost, kept = ray.ObjectRef.from_random(), ray.put("kept")
        assert ray.wait([lost, kept], num_returns=2, timeout=30) == ([lost, kept], [])
        with pytest.raises(ray.exceptions.ObjectLostError, match="Failed to retrieve object"):
            asyncio.run(read(lost))
        assert asyncio.run(read(ray.remote(echo).remote("result"))) == "result"

    def test_a_call_that_needs_the_value_fails(self, ray: Any) -> None:
        with pytest.raises(ray.exceptions.ObjectLostError, match="Failed to retrieve object"):
            ray.get(ray.remote(echo).remote(ray.ObjectRef.from_random()), timeout=30)

    def test_a_copy_is_without_object_too(self, ray: Any) -> None:
        lost = ray.ObjectRef.from_random()
        (copy,) = ray.get(ray.remote(echo).remote([lost]), timeout=30)
        assert copy == lost
        with pytest.raises(ray.exceptions.ObjectLostError, match="Failed to retrieve object"):
            ray.get(copy)

    def test_a_reference_that_comes_later_finds_the_object(self, ray: Any, module_name: str) -> None:
        keeper = ray.remote(Keeper).remote(module_name)
        by_id = ray.ObjectRef.from_binary(ray.get(keeper.id.remote()))
        (sent,) = ray.get(keeper.give.remote())
        assert sent is by_id
        assert ray.get(by_id, timeout=30) == "kept"


@pytest.mark.differs("Ray's ObjectRef.from_hex raises NotImplementedError")
class TestFromHex:
    def test_of_a_value(self, ray: Any) -> None:
        ref = ray.put("value")
        assert ray.ObjectRef.from_hex(ref.hex()) is ref

    @pytest.mark.parametrize(("value", "error"), [("zz", ValueError), ("ab", ValueError), (b"a", TypeError)])
    def test_other_text_is_refused(self, ray: Any, value: Any, error: type[Exception]) -> None:
        with pytest.raises(error, match=r"hexadecimal|length 28|expected str"):
            ray.ObjectRef.from_hex(value)
