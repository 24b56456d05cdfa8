"""`util.register_serializer` and `util.inspect_serializability`."""

from __future__ import annotations

import importlib
import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.subjects import Echo, echo


class Locked:
    """Cannot be pickled."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.lock = threading.Lock()


class MoreLocked(Locked):
    pass


def value_of(thing: Any) -> Any:
    return thing.value


@pytest.fixture
def registered(ray: Any) -> Iterator[None]:
    ray.util.register_serializer(Locked, serializer=value_of, deserializer=Locked)
    yield
    ray.util.deregister_serializer(Locked)


@pytest.mark.usefixtures("registered")
class TestRegistered:
    def test_an_instance_can_be_put(self, ray: Any) -> None:
        assert ray.get(ray.put(Locked(1))).value == 1

    def test_an_instance_can_be_passed(self, ray: Any) -> None:
        assert ray.get(ray.remote(value_of).remote(Locked([1, 2]))) == [1, 2]
        actor = ray.remote(Echo).remote(Locked("kept"))
        args, _ = ray.get(actor.__ray_call__.remote(lambda self: (self.made_with[0][0].value, 0)))
        assert args == "kept"

    def test_an_instance_inside_another_value(self, ray: Any) -> None:
        found = ray.get(ray.put({"a": [Locked(1), (Locked(2),)]}))["a"]
        assert (found[0].value, found[1][0].value) == (1, 2)

    def test_an_instance_that_a_function_captures(self, ray: Any) -> None:
        captured = Locked(3)
        assert ray.get(ray.remote(lambda: captured.value).remote()) == 3

    def test_an_instance_beside_values_of_other_packages(self, ray: Any) -> None:
        numpy = pytest.importorskip("numpy", reason="arrays are pickled out of band")
        locked, array = ray.get(ray.put((Locked(numpy.arange(5)), numpy.ones(100_000))))
        assert (locked.value.tolist(), array.sum()) == ([0, 1, 2, 3, 4], 100_000)

    def test_subclasses_are_not_meant(self, ray: Any) -> None:
        with pytest.raises(TypeError, match="cannot pickle"):
            ray.put(MoreLocked(1))

    def test_the_other_process_has_to_register_it_as_well(self, ray: Any) -> None:
        with pytest.raises(TypeError, match="cannot pickle"):
            ray.get(ray.remote(echo).remote(Locked(1)))

        def register_and_return(thing: Any, util: str) -> Any:
            importlib.import_module(util).register_serializer(Locked, serializer=value_of, deserializer=Locked)
            return thing

        util = ray.util.__name__
        assert ray.get(ray.remote(max_calls=1)(register_and_return).remote(Locked(2), util)).value == 2

    def test_the_functions_may_be_made_anywhere(self, ray: Any) -> None:
        factor = 10
        ray.util.register_serializer(
            Locked, serializer=lambda locked: locked.value, deserializer=lambda value: Locked(value * factor)
        )
        assert ray.get(ray.put(Locked(1))).value == 10

    def test_a_deregistered_class_is_pickled_as_before(self, ray: Any) -> None:
        for _ in range(2):
            ray.util.deregister_serializer(Locked)
            with pytest.raises(TypeError, match="lock"):
                ray.put(Locked(1))


@pytest.mark.differs("Ray checks nothing")
def test_wrong_arguments(ray: Any) -> None:
    with pytest.raises(TypeError, match=r"register_serializer takes a class. Got an object of type 'int': 3"):
        ray.util.register_serializer(3, serializer=value_of, deserializer=Locked)
    with pytest.raises(TypeError, match=r"deserializer must be a function of one argument. Got: None"):
        ray.util.register_serializer(Locked, serializer=value_of, deserializer=None)
    with pytest.raises(TypeError, match="deregister_serializer takes a class"):
        ray.util.deregister_serializer("Locked")


class TestInspection:
    def inspect(self, ray: Any, value: Any, **options: Any) -> tuple[bool, set[Any], str]:
        shown = io.StringIO()
        is_fine, failures = ray.util.inspect_serializability(value, print_file=shown, **options)
        return is_fine, failures, shown.getvalue()

    def test_a_value_that_can_be_pickled(self, ray: Any) -> None:
        assert self.inspect(ray, [1, {"a": 2}])[:2] == (True, set())

    def test_the_attribute_is_named(self, ray: Any) -> None:
        locked = Locked(1)
        is_fine, failures, shown = self.inspect(ray, locked, name="model")
        assert not is_fine
        [failure] = failures
        assert failure.obj is locked.lock
        assert failure.parent is locked
        assert failure.path == ("model", "lock")
        assert "FailTuple(lock [path=model -> lock, " in repr(failure)
        assert "lock" in shown

    def test_the_variable_of_a_function_is_named(self, ray: Any) -> None:
        captured = Locked(1)

        def use() -> Any:
            return captured.value

        is_fine, failures, _ = self.inspect(ray, use, name="use")
        assert not is_fine
        [failure] = failures
        assert failure.path == ("use", "captured", "lock")

    def test_the_depth_is_limited(self, ray: Any) -> None:
        locked = Locked(1)
        [failure] = self.inspect(ray, locked, name="model", depth=0)[1]
        assert failure.obj is locked
        assert failure.parent is None

    @pytest.mark.usefixtures("registered")
    def test_a_registered_class_can_be_pickled(self, ray: Any) -> None:
        assert self.inspect(ray, [Locked(1)])[0] is True


def test_the_names_are_also_in_their_modules(module_name: str) -> None:
    util = importlib.import_module(f"{module_name}.util")
    serialization = importlib.import_module(f"{module_name}.util.serialization")
    assert serialization.register_serializer is util.register_serializer
    assert serialization.deregister_serializer is util.deregister_serializer
    checking = importlib.import_module(f"{module_name}.util.check_serialize")
    assert checking.inspect_serializability is util.inspect_serializability
