"""Tasks run what the files say now, although workers are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbactors as ray
from nbactors.testing import eventually

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]

NAME = "edited_in_a_test"


@pytest.fixture
def session(own_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"{NAME}.py").write_text("value = 1")
    ray.init(num_cpus=1)
    yield
    ray.shutdown()


@ray.remote
def value() -> int:
    import edited_in_a_test

    return edited_in_a_test.value


@ray.remote
class Reader:
    def value(self) -> int:
        import edited_in_a_test

        return edited_in_a_test.value


@ray.remote
class AsyncReader:
    async def value(self) -> int:
        import edited_in_a_test

        return edited_in_a_test.value


@ray.remote
def values() -> int:
    """A task that waits for a task of another worker."""
    return ray.get(value.remote())


def edit(place: Path, number: int) -> None:
    """As editors do: the file is another one.

    Of another length, too: Python itself takes a compiled file for that of a source with the same length and second.
    """
    new = place / "new"
    new.write_text(f"value = {number}" + "\n" * number)
    new.replace(place / f"{NAME}.py")


def test_a_kept_worker_runs_the_edited_module_even_without_a_pause(tmp_path: Path) -> None:
    for number in range(1, 4):
        edit(tmp_path, number)
        eventually(lambda number=number: ray.get(value.remote(), timeout=20) == number, timeout_s=10)
    edit(tmp_path, 4)
    while (
        ray.get(value.remote(), timeout=20) != 4
    ):  # asked again at once: the worker is never given back for want of work
        pass


def test_a_task_within_a_task_runs_the_edited_module(tmp_path: Path) -> None:
    for number in range(1, 3):
        edit(tmp_path, number)
        eventually(lambda number=number: ray.get(values.remote(), timeout=20) == number, timeout_s=10)


@pytest.mark.parametrize("cls", [Reader, AsyncReader])
def test_a_new_actor_has_the_edited_module_at_once(tmp_path: Path, cls: ray.ActorClass[Any]) -> None:
    """The forkserver imports none: whatever it imports, its later children have of old."""
    for number in range(1, 4):
        edit(tmp_path, number)
        assert ray.get(cls.remote().value.remote(), timeout=20) == number
