"""`util.as_completed` and `util.map_unordered`: results as they come."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import pytest

from conformance.subjects import Echo, Gate, echo


def pass_gate(gate: Gate) -> str:
    gate.wait()
    return "passed"


class TestAsCompleted:
    def test_all_values_come(self, ray: Any) -> None:
        refs = [ray.remote(echo).remote(value) for value in range(25)]
        assert sorted(ray.util.as_completed(refs)) == list(range(25))

    def test_a_ready_value_does_not_wait_for_others(self, ray: Any, gate: Gate) -> None:
        refs = [ray.remote(pass_gate).remote(gate), ray.put(1), ray.put(2)]
        values = ray.util.as_completed(refs, chunk_size=1)
        assert sorted([next(values), next(values)]) == [1, 2]  # Ray gives ready values in any order
        gate.open()
        assert list(values) == ["passed"]

    def test_references_instead_of_values(self, ray: Any) -> None:
        refs = [ray.put(value) for value in range(3)]
        assert set(ray.util.as_completed(refs, yield_obj_refs=True)) == set(refs)

    def test_a_time_limit_shortens_the_wait_for_a_chunk(self, ray: Any, gate: Gate) -> None:
        refs = [ray.put(1), ray.remote(pass_gate).remote(gate)]
        values = ray.util.as_completed(refs, chunk_size=2, timeout=0.05)
        assert next(values) == 1
        gate.open()
        assert list(values) == ["passed"]

    def test_nothing_gives_nothing(self, ray: Any) -> None:
        assert list(ray.util.as_completed([])) == []

    def test_an_error_is_raised(self, ray: Any) -> None:
        ref = ray.remote(Echo).remote().fail.remote("broken")
        with pytest.raises(ValueError, match="broken"):
            list(ray.util.as_completed([ref]))

    def test_wrong_arguments(self, ray: Any) -> None:
        with pytest.raises(ValueError, match="`chunk_size` must be >= 1"):
            list(ray.util.as_completed([ray.put(1)], chunk_size=0))
        with pytest.raises(ValueError, match="instead of `num_returns`"):
            list(ray.util.as_completed([ray.put(1)], num_returns=1))


class TestMapUnordered:
    def test_all_values_come(self, ray: Any) -> None:
        assert sorted(ray.util.map_unordered(ray.remote(echo), range(25))) == list(range(25))

    @pytest.mark.parametrize("size", [1, 3, None])
    def test_the_number_of_unread_calls_is_limited(self, ray: Any, size: int | None) -> None:
        made = []

        def items() -> Any:
            for item in range(6):
                made.append(item)
                yield item

        values = ray.util.map_unordered(ray.remote(echo), items(), backpressure_size=size, chunk_size=1)
        assert made == []
        first = next(values)
        assert len(made) == (size or 6)
        assert sorted([first, *values]) == list(range(6))

    def test_the_items_may_have_no_end(self, ray: Any) -> None:
        values = ray.util.map_unordered(ray.remote(echo), itertools.count(), backpressure_size=4)
        assert len(list(itertools.islice(values, 10))) == 10
        values.close()

    def test_references_instead_of_values(self, ray: Any) -> None:
        refs = list(ray.util.map_unordered(ray.remote(echo), [1, 2], yield_obj_refs=True))
        assert sorted(ray.get(refs)) == [1, 2]

    def test_wrong_arguments(self, ray: Any) -> None:
        for options, text in (
            ({"backpressure_size": 0}, "backpressure_size must be positive"),
            ({"chunk_size": 0}, "`chunk_size` must be >= 1"),
            ({"num_returns": 1}, "instead of `num_returns`"),
        ):
            with pytest.raises(ValueError, match=text):
                list(ray.util.map_unordered(ray.remote(echo), [1], **options))


def test_the_names_are_also_in_their_module(module_name: str) -> None:
    module = importlib.import_module(f"{module_name}.util.helpers")
    util = importlib.import_module(f"{module_name}.util")
    assert (module.as_completed, module.map_unordered) == (util.as_completed, util.map_unordered)


def test_the_address_of_the_node_is_one_of_this_machine(ray: Any) -> None:
    assert ray.util.get_node_ip_address().count(".") == 3
