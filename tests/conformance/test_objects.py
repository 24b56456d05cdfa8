"""Objects: what references are, what travels by value, who owns what."""

from __future__ import annotations

import copy
import gc
import os
from typing import Any

import numpy as np
import pytest

from conformance.drivers import Drivers
from conformance.subjects import Echo, Gate, Keeper, echo, is_running

LARGE = 2_000_000
"""Elements of an array that does not travel inside a message."""


class TestValues:
    @pytest.mark.parametrize(
        "value",
        [
            None,
            0,
            -(2**70),
            1.5,
            "text ünï",
            b"bytes",
            [1, [2, [3]]],
            (1, (2,)),
            {"key": {"nested": [1]}},
            {1, 2},
            range(5),
            slice(1, 2),
            Ellipsis,
            "x" * 2_000_000,
            b"y" * 2_000_000,
        ],
        ids=lambda value: f"{type(value).__name__}-{len(repr(value))}",
    )
    def test_values_are_equal_after_a_round_trip(self, ray: Any, value: Any) -> None:
        assert ray.get(ray.put(value)) == value
        assert ray.get(ray.remote(echo).remote(value)) == value

    def test_an_instance_of_a_local_class_is_a_value(self, ray: Any) -> None:
        class Point:
            def __init__(self, x: int) -> None:
                self.x = x

        point = ray.get(ray.remote(echo).remote(Point(3)))
        assert point.x == 3
        assert type(point).__name__ == "Point"

    def test_a_function_is_a_value(self, ray: Any) -> None:
        assert ray.get(ray.put(lambda x: x + 1))(2) == 3

    def test_an_exception_object_is_a_value(self, ray: Any) -> None:
        value = ray.get(ray.put(KeyError("no error")))
        assert isinstance(value, KeyError)
        assert value.args == ("no error",)

    def test_an_exception_object_that_a_task_returns_is_a_value(self, ray: Any) -> None:
        assert isinstance(ray.get(ray.remote(echo).remote(KeyError("no error"))), KeyError)

    def test_a_later_change_does_not_change_a_put_value(self, ray: Any) -> None:
        value = [1]
        ref = ray.put(value)
        value.append(2)
        assert ray.get(ref) == [1]

    def test_a_later_change_does_not_change_an_argument(self, ray: Any) -> None:
        value = [1]
        ref = ray.remote(echo).remote(value)
        value.append(2)
        assert ray.get(ref) == [1]

    def test_each_get_returns_its_own_copy(self, ray: Any) -> None:
        ref = ray.put([1])
        ray.get(ref).append(2)
        assert ray.get(ref) == [1]

    def test_identity_within_a_value_is_kept(self, ray: Any) -> None:
        class Pair:
            def __init__(self, first: list[int], second: list[int]) -> None:
                self.first, self.second = first, second

        inner: list[int] = []
        pair = ray.get(ray.put(Pair(inner, inner)))
        assert pair.first is pair.second


class TestArrays:
    @pytest.mark.parametrize("size", [3, LARGE])
    def test_arrays_are_read_only(self, ray: Any, size: int) -> None:
        array = ray.get(ray.put(np.zeros(size)))
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1

    def test_a_copy_of_an_array_can_be_written(self, ray: Any) -> None:
        array = ray.get(ray.put(np.zeros(LARGE))).copy()
        array[0] = 1
        assert array.sum() == 1

    def test_an_argument_is_read_only_in_the_worker(self, ray: Any) -> None:
        @ray.remote
        def write(array: Any) -> None:
            array[0] = 1

        with pytest.raises(ValueError, match="read-only"):
            ray.get(write.remote(ray.put(np.zeros(LARGE))))

    def test_two_gets_share_memory(self, ray: Any) -> None:
        ref = ray.put(np.arange(LARGE))
        first, second = ray.get(ref), ray.get(ref)
        assert np.shares_memory(first, second)

    @pytest.mark.parametrize("dtype", ["int8", "float32", "complex128", "U3", "datetime64[s]"])
    def test_arrays_keep_type_and_shape(self, ray: Any, dtype: str) -> None:
        array = np.zeros((4, 5), dtype=dtype)
        result = ray.get(ray.remote(echo).remote(array))
        assert (result.dtype, result.shape) == (array.dtype, array.shape)

    def test_large_arrays_can_be_inside_other_values(self, ray: Any) -> None:
        value = {"a": np.arange(LARGE), "b": [np.ones(LARGE), "text"]}
        result = ray.get(ray.remote(echo).remote(value))
        assert result["a"][-1] == LARGE - 1
        assert result["b"][0].sum() == LARGE
        assert result["b"][1] == "text"

    @pytest.mark.slow
    def test_a_call_takes_many_large_arguments(self, ray: Any) -> None:
        refs = [ray.put(np.full(25_000, index, dtype=np.int64)) for index in range(100)]

        @ray.remote
        def first_elements(*arrays: Any) -> list[int]:
            return [int(array[0]) for array in arrays]

        assert ray.get(first_elements.remote(*refs)) == list(range(100))
        _, arrays = ray.get(ray.remote(Echo).remote().all.remote(**{f"_{i}": ref for i, ref in enumerate(refs)}))
        assert [int(array[0]) for array in arrays.values()] == list(range(100))

    @pytest.mark.slow
    def test_a_call_returns_many_large_results(self, ray: Any) -> None:
        @ray.remote(num_returns=100)
        def make() -> list[Any]:
            return [np.full(25_000, index, dtype=np.int64) for index in range(100)]

        assert [int(array[0]) for array in ray.get(make.remote())] == list(range(100))

    def test_an_array_outlives_its_reference(self, ray: Any) -> None:
        ref = ray.put(np.arange(LARGE))
        array = ray.get(ref)
        del ref
        gc.collect()
        others = [ray.put(np.zeros(LARGE)) for _ in range(3)]
        assert array[-1] == LARGE - 1
        assert len(others) == 3

    def test_an_array_outlives_the_actor_that_returned_it(self, ray: Any) -> None:
        @ray.remote
        class Maker:
            def make(self) -> Any:
                return np.arange(LARGE)

        maker = Maker.remote()
        array = ray.get(maker.make.remote())
        ray.kill(maker)
        assert array[-1] == LARGE - 1

    def test_arrays_of_any_memory_order_are_equal(self, ray: Any) -> None:
        array = np.asfortranarray(np.arange(12).reshape(3, 4))
        assert (ray.get(ray.put(array)) == array).all()
        assert (ray.get(ray.put(array[::2, ::-1])) == array[::2, ::-1]).all()


class TestReferences:
    def test_a_reference_as_an_argument_is_replaced_by_its_value(self, ray: Any) -> None:
        ref = ray.put(1)
        assert ray.get(ray.remote(echo).remote(ref)) == 1
        assert ray.get(ray.remote(echo).remote(value=ref)) == 1
        assert ray.get(ray.remote(Echo).remote().all.remote(ref, key=ref)) == ((1,), {"key": 1})

    def test_a_reference_inside_an_argument_stays_a_reference(self, ray: Any) -> None:
        @ray.remote
        def look(value: list[Any]) -> tuple[bool, Any]:
            return isinstance(value[0], ray.ObjectRef), ray.get(value[0])

        assert ray.get(look.remote([ray.put(1)])) == (True, 1)

    def test_a_reference_can_be_inside_a_result(self, ray: Any) -> None:
        @ray.remote
        def make() -> Any:
            return [ray.put("inner")]

        assert ray.get(ray.get(make.remote())[0]) == "inner"

    def test_a_reference_can_be_the_result(self, ray: Any) -> None:
        @ray.remote
        def make() -> Any:
            return ray.put("inner")

        inner = ray.get(make.remote())
        assert isinstance(inner, ray.ObjectRef)
        assert ray.get(inner) == "inner"

    def test_a_reference_can_be_inside_a_put_value(self, ray: Any) -> None:
        inner = ray.put("inner")
        outer = ray.put({"ref": inner})
        assert ray.get(outer)["ref"] == inner
        assert ray.get(ray.get(outer)["ref"]) == "inner"

    def test_a_put_value_keeps_the_objects_of_its_references(self, ray: Any) -> None:
        outer = ray.put([ray.put(np.arange(LARGE))])
        gc.collect()
        assert ray.get(ray.get(outer)[0])[-1] == LARGE - 1

    def test_a_reference_to_a_running_call_can_be_passed(self, ray: Any, gate: Gate) -> None:
        pending = ray.remote(Echo).remote().wait.remote(gate)

        @ray.remote
        def resolve(refs: list[Any]) -> Any:
            return ray.get(refs[0])

        resolved = resolve.remote([pending])
        gate.open()
        assert ray.get(resolved) == "passed"

    def test_an_actor_can_keep_a_reference(self, ray: Any) -> None:
        keeper = ray.remote(Keeper).remote()
        ray.get(keeper.keep.remote([ray.put(np.arange(LARGE))]))
        gc.collect()
        (ref,) = ray.get(keeper.give.remote())
        assert ray.get(ref)[-1] == LARGE - 1

    def test_a_reference_can_be_passed_through_three_processes(self, ray: Any) -> None:
        first, second = ray.remote(Keeper).remote(), ray.remote(Keeper).remote()
        ray.get(first.keep.remote([ray.put("far")]))

        @ray.remote
        def carry(source: Any, target: Any) -> None:
            ray.get(target.keep.remote(ray.get(source.give.remote())))

        ray.get(carry.remote(first, second))
        ray.get(first.drop.remote())
        (ref,) = ray.get(second.give.remote())
        assert ray.get(ref) == "far"

    def test_a_task_does_not_wait_for_a_nested_reference(self, ray: Any, gate: Gate) -> None:
        pending = ray.remote(Echo).remote().wait.remote(gate)

        @ray.remote
        def look(refs: list[Any]) -> Any:
            return len(ray.wait(refs, timeout=0)[1])

        # Nested, it is not waited for: the task runs.
        assert ray.get(look.remote([pending])) == 1

    def test_a_reference_is_equal_after_a_round_trip(self, ray: Any) -> None:
        ref = ray.put(1)
        (again,) = ray.get(ray.remote(echo).remote([ref]))
        assert again == ref
        assert hash(again) == hash(ref)
        assert {ref: 1}[again] == 1
        assert ref != ray.put(1)

    def test_copies_are_the_same_reference(self, ray: Any) -> None:
        ref = ray.put(1)
        assert copy.copy(ref) == ref
        assert ray.get(copy.copy(ref)) == 1

    def test_the_text_of_a_reference_shows_its_id(self, ray: Any) -> None:
        ref = ray.put(1)
        assert repr(ref) == f"ObjectRef({ref.hex()})"
        assert len(ref.hex()) == 56
        assert ref.binary().hex() == ref.hex()
        assert not ref.is_nil()

    def test_a_reference_is_not_iterable(self, ray: Any) -> None:
        with pytest.raises(TypeError, match="not iterable"):
            list(ray.put(1))

    def test_results_outlive_their_worker(self, ray: Any) -> None:
        actor = ray.remote(Echo).remote()
        ref = actor.echo.remote("small")
        assert ray.wait([ref], timeout=30)[0] == [ref]
        ray.kill(actor)
        assert ray.get(ref) == "small"


class TestOwnership:
    def test_get_raises_owner_died_error_after_the_owners_death(self, ray: Any, eventually: Any) -> None:
        @ray.remote
        class Owner:
            def make(self) -> Any:
                return os.getpid(), [ray.put(np.zeros(LARGE)) for _ in range(50)]

        owner = Owner.remote()
        pid, refs = ray.get(owner.make.remote())
        ray.kill(owner)
        eventually(lambda: not is_running(pid))

        def is_told() -> bool:
            # A new one each time: what was got once may be had again.
            try:
                ray.get(refs.pop())
            except ray.exceptions.OwnerDiedError as error:
                return "owner" in str(error)
            return False

        eventually(is_told)

    def test_the_owners_death_ends_a_wait(self, ray: Any, gate: Gate) -> None:
        waiter = ray.remote(Echo).remote()
        ray.get(waiter.pid.remote())

        @ray.remote
        class Owner:
            def start(self, waiter: Any, gate: Gate) -> Any:
                return [waiter.wait.remote(gate)]

        owner = Owner.remote()
        (ref,) = ray.get(owner.start.remote(waiter, gate))
        ray.kill(owner)
        with pytest.raises(ray.exceptions.OwnerDiedError, match=ref.hex()):
            ray.get(ref)

    def test_owner_died_error_is_an_object_lost_error(self, ray: Any) -> None:
        assert issubclass(ray.exceptions.OwnerDiedError, ray.exceptions.ObjectLostError)

    def test_the_owner_keeps_its_value_after_a_borrowers_death(self, ray: Any) -> None:
        ref = ray.put("mine")
        keeper = ray.remote(Keeper).remote()
        ray.get(keeper.keep.remote([ref]))
        ray.kill(keeper)
        assert ray.get(ref) == "mine"

    def test_a_detached_actor_owns_what_it_puts(self, drivers: Drivers, ray: Any, name: str) -> None:
        @ray.remote
        class Owner:
            def __init__(self) -> None:
                self.refs = [ray.put(np.arange(LARGE))]

            def give(self) -> Any:
                return self.refs

        owner = Owner.options(name=name, lifetime="detached").remote()
        ray.get(owner.__ray_ready__.remote())
        stdout, _ = drivers.run(f"""
            ray.init(namespace="conformance")
            (ref,) = ray.get(ray.get_actor("{name}").give.remote())
            say(ray.get(ref)[-1])
        """)
        assert f"say: {LARGE - 1}" in stdout
        ray.kill(owner)

    def test_user_code_may_be_forbidden_to_pickle_references(self, drivers: Drivers) -> None:
        stdout, _ = drivers.run("""
            import pickle
            os.environ["RAY_allow_out_of_band_object_ref_serialization"] = "0"
            ray.init()
            ref = ray.put("value")
            for dump in (pickle.dumps, ray.cloudpickle.dumps):
                try:
                    dump([ref])
                except ray.exceptions.OufOfBandObjectRefSerializationException as error:
                    say(str(error)[:27])

            @ray.remote
            def read(refs):
                return ray.get(ray.put(refs))[0]

            say(ray.get(ray.get(read.remote([ref]))))
        """)
        assert stdout.count("say: It is not allowed to") == 2
        assert "say: value" in stdout
