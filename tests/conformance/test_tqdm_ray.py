"""`experimental.tqdm_ray`: progress bars in drivers, tasks and actors."""

from __future__ import annotations

import importlib
from typing import Any

import pytest


@pytest.fixture
def tqdm(ray: Any, module_name: str) -> Any:
    return importlib.import_module(f"{module_name}.experimental.tqdm_ray").tqdm


def test_the_items_come_unchanged(tqdm: Any) -> None:
    bar = tqdm(["a", "b"], desc="letters", position=1)
    assert list(bar) == ["a", "b"]
    assert (bar.n, bar.total) == (2, 2)
    bar.close()


def test_an_iterable_without_a_length(tqdm: Any) -> None:
    bar = tqdm(iter(range(3)), unit="row", flush_interval_s=0.0)
    assert (bar.total, list(bar), bar.n) == (None, [0, 1, 2], 3)
    bar.close()


def test_a_bar_that_is_advanced(tqdm: Any) -> None:
    bar = tqdm(total=10)
    bar.update()
    bar.update(4)
    bar.set_description("more")
    assert (bar.n, bar.total) == (5, 10)
    bar.total, bar.n = 20, 7
    bar.refresh()
    assert (bar.n, bar.total) == (7, 20)
    bar.close()
    bar.close()


def test_there_must_be_something_to_iterate_over(tqdm: Any) -> None:
    bar = tqdm(total=1)
    with pytest.raises(ValueError, match="No iterable provided"):
        list(bar)
    bar.close()


def test_a_task_iterates(ray: Any, tqdm: Any, module_name: str) -> None:
    def count(module: str) -> list[int]:
        return list(importlib.import_module(module).tqdm(range(5), desc="in a task"))

    assert ray.get(ray.remote(count).remote(f"{module_name}.experimental.tqdm_ray")) == [0, 1, 2, 3, 4]


def test_a_bar_that_several_tasks_advance(ray: Any, tqdm: Any) -> None:
    @ray.remote
    def advance(bar: Any) -> None:
        ray.get(bar.update.remote(2))

    bar = ray.remote(tqdm).remote(total=6)
    ray.get([advance.remote(bar) for _ in range(3)])
    assert ray.get(bar.__ray_call__.remote(lambda self: self.n)) == 6
    assert ray.get(bar.close.remote()) is None
