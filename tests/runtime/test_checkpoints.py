"""Saving the state of an actor, and giving it back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbactors


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("NBACTORS_STATE_DIR", str(tmp_path))
    nbactors.init(num_cpus=2, namespace="checkpoints")
    yield
    nbactors.shutdown()


class Model:
    def __init__(self) -> None:
        self.weights = np.zeros(100_000)

    def train(self) -> None:
        self.weights = self.weights + 1

    def total(self) -> float:
        return float(self.weights.sum())

    def __nbactors_save__(self) -> Any:
        return {"weights": self.weights}

    def __nbactors_restore__(self, state: Any) -> None:
        self.weights = state["weights"]


class AsyncModel:
    def __init__(self) -> None:
        self.steps = 0

    async def train(self) -> int:
        self.steps += 1
        return self.steps

    async def __nbactors_save__(self) -> int:
        await asyncio.sleep(0)
        return self.steps

    async def __nbactors_restore__(self, state: int) -> None:
        await asyncio.sleep(0)
        self.steps = state


def make(cls: type, **options: Any) -> Any:
    return (nbactors.remote(**options)(cls) if options else nbactors.remote(cls)).remote()


def test_restore_brings_back_the_state_of_the_checkpoint() -> None:
    model = make(Model)
    model.train.remote()
    made = nbactors.checkpoint(model)
    assert (made.class_name, made.version, made.path) == ("Model", 1, None)
    model.train.remote()
    assert nbactors.get(model.total.remote()) == 200_000
    assert nbactors.restore(model) == made
    assert nbactors.get(model.total.remote()) == 100_000


def test_a_given_checkpoint_restores_any_actor_of_its_class() -> None:
    model = make(Model)
    made = []
    for _ in range(3):
        model.train.remote()
        made.append(nbactors.checkpoint(model))
    other = make(Model)
    nbactors.restore(other, made[0])
    nbactors.restore(model, made[1])
    assert nbactors.get([other.total.remote(), model.total.remote()]) == [100_000, 200_000]


def test_an_asyncio_actor_is_saved_and_restored() -> None:
    model = make(AsyncModel)
    nbactors.get([model.train.remote() for _ in range(5)])
    nbactors.checkpoint(model)
    nbactors.get(model.train.remote())
    nbactors.restore(model)
    assert nbactors.get(model.train.remote()) == 6


def test_a_detached_actor_goes_on_where_another_has_ended(tmp_path: Path) -> None:
    model = make(Model, name="model", lifetime="detached")
    model.train.remote()
    made = nbactors.checkpoint(model)
    assert made.path is not None
    assert tmp_path in made.path.parents
    nbactors.kill(model)
    again = make(Model, name="model", lifetime="detached")
    assert nbactors.restore(again) == made
    assert nbactors.get(again.total.remote()) == 100_000
    nbactors.kill(again)


def test_restore_takes_the_previous_checkpoint_if_the_latest_is_damaged() -> None:
    model = make(Model, name="model", lifetime="detached")
    model.train.remote()
    first = nbactors.checkpoint(model)
    model.train.remote()
    second = nbactors.checkpoint(model)
    assert second.path is not None
    second.path.write_bytes(second.path.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="ends too early; the one before is taken"):
        assert nbactors.restore(model) == first
    with pytest.raises(ValueError, match="ends too early"):
        nbactors.restore(model, second)
    assert nbactors.get(model.total.remote()) == 100_000
    nbactors.kill(model)


def test_a_checkpoint_that_others_may_write_is_refused_and_not_replaced_by_another() -> None:
    model = make(Model, name="model", lifetime="detached")
    nbactors.checkpoint(model)
    latest = nbactors.checkpoint(model)
    assert latest.path is not None
    latest.path.chmod(0o666)
    for given in (None, latest):
        with pytest.raises(PermissionError, match=r"2\.checkpoint' may be written by others.*chmod go-w"):
            nbactors.restore(model, given)
    nbactors.kill(model)


def test_restore_without_a_checkpoint_is_refused() -> None:
    with pytest.raises(LookupError, match="there is no checkpoint of"):
        nbactors.restore(make(Model))


def test_a_class_without_the_hooks_is_refused() -> None:
    class Plain:
        pass

    for verb in (nbactors.checkpoint, nbactors.restore):
        with pytest.raises(TypeError, match=r"has no __nbactors_\w+__\. Give it both methods"):
            verb(make(Plain))


def test_a_class_with_only_one_of_the_hooks_is_refused_at_definition() -> None:
    class Half:
        def __nbactors_save__(self) -> int:
            return 1

    with pytest.raises(ValueError, match="has __nbactors_save__ but no __nbactors_restore__"):
        nbactors.remote(Half)


def test_an_async_hook_beside_synchronous_methods_is_awaited() -> None:
    class Mixed:
        def value(self) -> int:
            return 1

        async def __nbactors_save__(self) -> int:
            return 5

        async def __nbactors_restore__(self, state: int) -> None: ...

    mixed = make(Mixed)
    assert nbactors.checkpoint(mixed).version == 1


def test_a_checkpoint_of_another_class_is_refused() -> None:
    model = make(Model)
    made = nbactors.checkpoint(make(AsyncModel))
    with pytest.raises(ValueError, match="is of AsyncModel, and the actor is Model"):
        nbactors.restore(model, made)
