"""A session's leases of task workers: what it remembers of them, and what it says where it gets none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors as ray
from nbactors import engine
from nbactors.testing import eventually


@ray.remote
def square(number: int) -> int:
    return number * number


@pytest.fixture
def session(own_directory: Path) -> Iterator[None]:
    ray.init(num_cpus=1)
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("session")
def test_requests_that_were_cancelled_are_forgotten() -> None:
    """Eight are made for many tasks, and with one CPU most of them are cancelled when the tasks are done."""
    kinds = [square.options(name=f"square {number}") for number in range(10)]
    for kind in kinds:
        assert ray.get([kind.remote(number) for number in range(20)], timeout=20)[-1] == 361
    tasks = engine.current().process.tasks  # type: ignore[attr-defined]
    eventually(lambda: not tasks._expected)
