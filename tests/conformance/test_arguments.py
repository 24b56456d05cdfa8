"""Arguments are checked where the call is made, before anything travels."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from conformance.subjects import Counter, Echo


def two(a: int, b: int, *, c: int = 0) -> tuple[int, int, int]:
    return a, b, c


class Two:
    def __init__(self, a: int, b: int = 2, *, c: int = 3) -> None:
        self.values = (a, b, c)

    def take(self, a: int, *, c: int) -> tuple[int, int]:
        return a, c

    @classmethod
    def of_class(cls, a: int) -> int:
        return a

    @staticmethod
    def of_none(a: int) -> int:
        return a


WRONG = [
    pytest.param((), {}, "missing a required .*argument: 'a'", id="missing"),
    pytest.param((1, 2, 3), {"c": 1}, "too many positional arguments", id="too-many"),
    pytest.param((1,), {"c": 1, "d": 2}, "unexpected keyword argument 'd'", id="unknown"),
    pytest.param((1,), {"a": 1, "c": 2}, "multiple values for argument 'a'", id="twice"),
]


class TestSignatures:
    @pytest.mark.parametrize(("args", "kwargs", "message"), WRONG)
    def test_wrong_arguments_of_a_constructor_are_refused(self, ray: Any, args: Any, kwargs: Any, message: str) -> None:
        with pytest.raises(TypeError, match=message):
            ray.remote(Two).remote(*args, **kwargs)

    @pytest.mark.parametrize(("args", "kwargs", "message"), WRONG)
    def test_wrong_arguments_of_a_method_are_refused(self, ray: Any, args: Any, kwargs: Any, message: str) -> None:
        actor = ray.remote(Two).remote(1)
        with pytest.raises(TypeError, match=message):
            actor.take.remote(*args, **kwargs)

    @pytest.mark.parametrize(
        ("args", "kwargs", "message"),
        [
            pytest.param((1,), {}, "missing a required .*argument: 'b'", id="missing"),
            pytest.param((1, 2, 3), {}, "too many positional arguments", id="too-many"),
            pytest.param((1, 2), {"d": 2}, "unexpected keyword argument 'd'", id="unknown"),
        ],
    )
    def test_wrong_arguments_of_a_function_are_refused(self, ray: Any, args: Any, kwargs: Any, message: str) -> None:
        with pytest.raises(TypeError, match=message):
            ray.remote(two).remote(*args, **kwargs)

    def test_a_missing_keyword_only_argument_is_refused(self, ray: Any) -> None:
        actor = ray.remote(Two).remote(1)
        with pytest.raises(TypeError, match=r"missing a required .*argument: 'c'"):
            actor.take.remote(1)

    @pytest.mark.parametrize("method", ["of_class", "of_none"])
    def test_wrong_arguments_of_class_and_static_methods_are_refused(self, ray: Any, method: str) -> None:
        actor = ray.remote(Two).remote(1)
        assert ray.get(getattr(actor, method).remote(5)) == 5
        with pytest.raises(TypeError, match="too many positional arguments"):
            getattr(actor, method).remote(1, 2)

    def test_a_class_without_a_constructor_takes_no_arguments(self, ray: Any) -> None:
        class Bare:
            pass

        with pytest.raises(TypeError, match="too many positional arguments"):
            ray.remote(Bare).remote(1)

    def test_wrong_arguments_are_refused_in_another_process(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()

        @ray.remote
        def use(counter: Any) -> None:
            counter.increment.remote(1, 2, 3)

        with pytest.raises(TypeError, match="too many positional arguments"):
            ray.get(use.remote(counter))

    def test_wrong_arguments_are_refused_on_a_handle_found_by_name(self, ray: Any, name: str) -> None:
        counter = ray.remote(Counter).options(name=name).remote()
        with pytest.raises(TypeError, match="unexpected keyword argument 'wrong'"):
            ray.get_actor(name).increment.remote(wrong=1)
        assert ray.get(counter.increment.remote()) == 1

    def test_wrong_arguments_are_refused_with_options(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()
        with pytest.raises(TypeError, match="too many positional arguments"):
            counter.increment.options(name="named").remote(1)
        with pytest.raises(TypeError, match="too many positional arguments"):
            ray.remote(two).options(name="named").remote(1, 2, 3)


class TestPickling:
    """What cannot be pickled is refused at the call."""

    def test_an_unpicklable_argument_of_a_task_is_refused(self, ray: Any) -> None:
        with pytest.raises(TypeError, match="lock"):
            ray.remote(two).remote(1, threading.Lock())

    def test_an_unpicklable_argument_of_a_method_is_refused(self, ray: Any) -> None:
        actor = ray.remote(Echo).remote()
        with pytest.raises(TypeError, match="lock"):
            actor.echo.remote({"key": [threading.Lock()]})
        assert ray.get(actor.echo.remote(1)) == 1

    def test_an_unpicklable_argument_of_a_constructor_is_refused(self, ray: Any) -> None:
        with pytest.raises(TypeError, match="lock"):
            ray.remote(Echo).remote(threading.Lock())

    def test_an_unpicklable_value_of_put_is_refused(self, ray: Any) -> None:
        with pytest.raises(TypeError, match="lock"):
            ray.put(threading.Lock())

    def test_the_error_names_the_unpicklable_variable_of_a_function(self, ray: Any) -> None:
        guard_of_mine = threading.Lock()

        @ray.remote
        def use() -> Any:
            return guard_of_mine

        with pytest.raises(TypeError, match="guard_of_mine"):
            use.remote()

    def test_the_error_names_the_unpicklable_variable_of_a_class(self, ray: Any) -> None:
        guard_of_mine = threading.Lock()

        @ray.remote
        class Using:
            def use(self) -> Any:
                return guard_of_mine

        with pytest.raises(TypeError, match="guard_of_mine"):
            Using.remote()

    @pytest.mark.differs("Ray finds attributes of classes it can read, and says no more than 'unknown' for containers")
    def test_the_error_names_the_unpicklable_attribute(self, ray: Any) -> None:
        class Holder:
            def __init__(self) -> None:
                self.fine = 1
                self.connection = threading.Lock()

        with pytest.raises(TypeError, match="connection"):
            ray.put({"holder": Holder()})

    def test_a_refused_call_does_not_change_the_order_of_others(self, ray: Any) -> None:
        counter = ray.remote(Counter).remote()
        first = counter.increment.remote()
        with pytest.raises(TypeError, match="lock"):
            counter.add.remote(threading.Lock())
        assert ray.get([first, counter.increment.remote()]) == [1, 2]


class TestSizes:
    def test_a_call_takes_many_references(self, ray: Any) -> None:
        actor = ray.remote(Echo).remote()
        refs = [ray.put(i) for i in range(100)]
        args, kwargs = ray.get(actor.all.remote(*refs, key=refs[0]))
        assert args == tuple(range(100))
        assert kwargs == {"key": 0}

    def test_a_call_takes_the_same_reference_twice(self, ray: Any) -> None:
        ref = ray.put([1])
        args, _ = ray.get(ray.remote(Echo).remote().all.remote(ref, ref))
        assert args == ([1], [1])

    def test_a_call_takes_a_large_argument(self, ray: Any) -> None:
        data = bytes(5_000_000)
        assert len(ray.get(ray.remote(Echo).remote().echo.remote(data))) == 5_000_000

    def test_a_call_takes_many_large_arguments(self, ray: Any) -> None:
        data = [bytes([i]) * 300_000 for i in range(10)]
        args, _ = ray.get(ray.remote(Echo).remote().all.remote(*data))
        assert list(args) == data

    def test_a_call_takes_a_reference_and_a_list_with_that_reference(self, ray: Any) -> None:
        ref = ray.put(1)
        (value, nested), _ = ray.get(ray.remote(Echo).remote().all.remote(ref, [ref]))
        assert (value, nested) == (1, [ref])


def test_large_arguments_and_large_references_are_told_apart(ray: Any) -> None:
    @ray.remote
    def begins(*values: bytes) -> list[tuple[bytes, int]]:
        return [(value[:1], len(value)) for value in values]

    @ray.remote
    class Keeper:
        def __init__(self, *values: bytes) -> None:
            self.values = values

        def begins(self, *values: bytes) -> list[tuple[bytes, int]]:
            return [(value[:1], len(value)) for value in (*self.values, *values)]

    ref = ray.put(b"r" * 300_000)
    assert ray.get(begins.remote(b"a" * 200_000, ref, b"c" * 150_000)) == [
        (b"a", 200_000),
        (b"r", 300_000),
        (b"c", 150_000),
    ]
    keeper = Keeper.remote(b"x" * 200_000, ref)
    expected = [(b"x", 200_000), (b"r", 300_000), (b"r", 300_000), (b"b", 400_000)]
    assert ray.get(keeper.begins.remote(ref, b"b" * 400_000)) == expected
