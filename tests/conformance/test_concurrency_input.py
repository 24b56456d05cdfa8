"""Bad input where calls overlap, stream or are cancelled: what is refused, and where the message points."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from conformance.subjects import Counter, echo


def count(limit: int = 2) -> Iterator[int]:
    yield from range(limit)


class Asynchronous:
    async def method(self) -> int:
        return 1


class TestActorOptions:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"max_concurrency": -1}, ValueError, "max_concurrency"),
            ({"max_concurrency": "two"}, TypeError, "max_concurrency"),
            ({"max_pending_calls": -2}, ValueError, "max_pending_calls"),
            ({"max_pending_calls": 1.5}, TypeError, "max_pending_calls"),
            ({"concurrency_groups": 3}, TypeError, "concurrency_groups"),
            ({"allow_out_of_order_execution": 1}, TypeError, "allow_out_of_order_execution"),
            ({"_actor_generator_backpressure_num_objects": 0}, ValueError, "num_objects must be > 0|num_objects=0"),
        ],
        ids=lambda value: str(value) if isinstance(value, dict) else "",
    )
    def test_wrong_values_are_refused(
        self, ray: Any, options: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            ray.remote(**options)(Counter)

    def test_groups_are_refused_in_options(self, ray: Any) -> None:
        with pytest.raises(ValueError, match=r"'concurrency_groups' is not supported in '\.options\(\)'"):
            ray.remote(Counter).options(concurrency_groups={"io": 1})

    @pytest.mark.parametrize(("cls", "options"), [(Asynchronous, {}), (Counter, {"max_concurrency": 2})])
    def test_in_order_execution_is_refused_if_calls_overlap(self, ray: Any, cls: type, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"async actors|multi-threaded actors"):
            ray.remote(allow_out_of_order_execution=False, **options)(cls).remote()

    @pytest.mark.differs("Ray's assertion says nothing")
    def test_a_methods_group_must_be_declared(self, ray: Any) -> None:
        class Wrong:
            @ray.method(concurrency_group="oi")
            def method(self) -> None: ...

        with pytest.raises(ValueError, match=r"Wrong\.method: .*group 'oi'.*The class has 'io', 'compute'"):
            ray.remote(concurrency_groups={"io": 1, "compute": 2})(Wrong)

    @pytest.mark.differs("Ray takes it, or its worker crashes")
    @pytest.mark.parametrize("size", [0, -1, True, "two"])
    def test_a_wrong_size_of_a_group_is_refused(self, ray: Any, size: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="size of the concurrency group 'io'"):
            ray.remote(concurrency_groups={"io": size})(Counter)


class TestCallOptions:
    @pytest.mark.differs("Ray's actor dies of it")
    def test_an_unknown_group_is_refused(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups={"io": 1})(Counter).remote()
        with pytest.raises(ValueError, match=r"Counter\.increment: .*no concurrency group 'zzz'.*The class has 'io'"):
            actor.increment.options(concurrency_group="zzz")

    @pytest.mark.differs("Ray has no timeout of calls")
    @pytest.mark.parametrize("timeout", [0, -1, "5", float("nan")])
    def test_a_wrong_timeout_of_a_call_is_refused(self, ray: Any, timeout: Any) -> None:
        actor = ray.remote(Counter).remote()
        with pytest.raises((TypeError, ValueError), match="timeout_s"):
            actor.increment.options(timeout_s=timeout)


class TestGenerators:
    @pytest.mark.parametrize("word", ["streaming", "dynamic"])
    @pytest.mark.filterwarnings("ignore:num_returns='dynamic' is deprecated")
    def test_streaming_is_refused_for_a_plain_function(self, ray: Any, word: str) -> None:
        def plain(self: Any) -> None: ...

        message = f"num_returns='{word}' can only be used with generator functions"
        with pytest.raises(ValueError, match=message):
            ray.remote(num_returns=word)(echo)
        with pytest.raises(ValueError, match=message):
            ray.remote(echo).options(num_returns=word)
        with pytest.raises(ValueError, match=message):
            ray.method(num_returns=word)(plain)
        with pytest.raises(ValueError, match=message):
            ray.remote(Counter).remote().increment.options(num_returns=word)

    def test_an_unknown_word_for_num_returns_is_refused(self, ray: Any) -> None:
        with pytest.raises((ValueError, TypeError), match=r"num_returns|not supported between instances of 'str'"):
            ray.remote(num_returns="all")(count)

    def test_a_backpressure_of_0_is_refused(self, ray: Any) -> None:
        with pytest.raises(ValueError, match="_generator_backpressure_num_objects=0 is not allowed"):
            ray.remote(_generator_backpressure_num_objects=0)(count)

    @pytest.mark.differs("Ray takes it, and every call fails")
    def test_an_async_generator_function_is_refused(self, ray: Any) -> None:
        async def wrong() -> AsyncIterator[int]:
            yield 1

        with pytest.raises(ValueError, match="'async def' should not be used for remote tasks"):
            ray.remote(wrong)


class TestCancel:
    @pytest.mark.parametrize("what", [3, None, "text", []])
    def test_cancel_refuses_a_value_that_is_not_a_reference(self, ray: Any, what: Any) -> None:
        with pytest.raises(TypeError, match=r"only supported for object refs\. For actors, try (ray\.)?kill\(\)\. Got"):
            ray.cancel(what)

    def test_cancel_refuses_an_actor(self, ray: Any) -> None:
        actor = ray.remote(Counter).remote()
        with pytest.raises(TypeError, match="ActorHandle"):
            ray.cancel(actor)

    @pytest.mark.differs("Ray takes anything")
    @pytest.mark.parametrize("option", ["force", "recursive", "interrupt"])
    def test_the_options_of_cancel_must_be_bool(self, ray: Any, option: str) -> None:
        with pytest.raises(TypeError, match=f"'{option}' must be bool"):
            ray.cancel(ray.put(1), **{option: "yes"})

    def test_is_canceled_is_refused_in_a_driver(self, ray: Any) -> None:
        with pytest.raises(RuntimeError, match="only available when the process is a worker"):
            ray.get_runtime_context().is_canceled()
