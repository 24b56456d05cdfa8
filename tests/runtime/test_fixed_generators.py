"""A generator that is called with a number of results: what becomes of its values when it fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import nbactors as ray
from nbactors.testing import eventually

SIZE = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def _session() -> Iterator[None]:
    ray.init(num_cpus=2)
    yield
    ray.shutdown()


class Plain:
    def fail(self, number: int) -> Iterator[bytes]:
        for i in range(number):
            yield bytes([i]) * SIZE
        raise ValueError("amid")

    def unpicklable(self) -> Iterator[Any]:
        yield 1
        yield (i for i in ())
        raise ValueError("amid")


class Asynchronous:
    async def fail(self, number: int) -> AsyncIterator[bytes]:
        for i in range(number):
            yield bytes([i]) * SIZE
        raise ValueError("amid")


@pytest.mark.parametrize("kind", [Plain, Asynchronous])
def test_large_values_before_an_error_are_given(kind: Any) -> None:
    first, second, third = ray.remote(kind).remote().fail.options(num_returns=3).remote(2)
    assert ray.get([first, second]) == [bytes([i]) * SIZE for i in range(2)]
    with pytest.raises(ValueError, match="amid"):
        ray.get(third)


def test_a_call_that_is_cancelled_gives_no_value(tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    @ray.remote(num_returns=2)
    def work() -> Iterator[int]:
        yield 1
        begun.touch()
        while True:
            pass

    refs = work.remote()
    eventually(begun.exists)
    ray.cancel(refs[0])
    for ref in refs:
        with pytest.raises(ray.exceptions.TaskCancelledError, match="cancelled"):
            ray.get(ref, timeout=10)


def test_a_value_that_cannot_be_pickled_is_told() -> None:
    refs = ray.remote(Plain).remote().unpicklable.options(num_returns=3).remote()
    for ref in refs:
        with pytest.raises(TypeError, match="generator"):
            ray.get(ref)
    assert len(refs) == 3


def test_a_call_that_may_be_tried_again_gives_the_values_of_the_last_try(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    @ray.remote(num_returns=2, retry_exceptions=True, max_retries=1)
    def work() -> Iterator[str]:
        is_first = not mark.exists()
        mark.touch()
        yield "first try" if is_first else "second try"
        if is_first:
            raise ValueError("amid")
        yield "end"

    assert ray.get(work.remote()) == ["second try", "end"]


def test_an_error_after_all_values_is_shown_with_the_output_of_the_worker() -> None:
    script = """
import nbactors as ray
@ray.remote(num_returns=2)
def work():
    yield 0
    yield 1
    raise ValueError("late")
ray.init(num_cpus=1)
print(ray.get(work.remote()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[0, 1]\n"
    assert "work failed after its 2 values, so no reference has its error:" in done.stderr
    assert "ValueError: late" in done.stderr
