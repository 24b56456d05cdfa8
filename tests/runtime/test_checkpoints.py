"""Saving the state of an actor, and giving it back."""

from __future__ import annotations

import asyncio
import os
import re
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


def crash(model: Any) -> None:
    """Crash an actor, and wait until its next process has constructed it."""
    with pytest.raises(nbactors.exceptions.ActorUnavailableError, match="was restarted"):
        nbactors.get(model.__ray_call__.options(max_task_retries=0).remote(lambda self: os._exit(1)), timeout=10)
    nbactors.get(model.__ray_ready__.options(max_task_retries=1).remote(), timeout=10)


KINDS = {
    "session's": {},
    "detached": {"name": "model", "lifetime": "detached"},
    "threaded": {"max_concurrency": 2},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_a_restarted_actor_goes_on_from_its_last_checkpoint(options: dict[str, Any]) -> None:
    model = make(Model, max_restarts=-1, max_task_retries=-1, **options)
    for _ in range(2):
        nbactors.get(model.train.remote())
        nbactors.checkpoint(model)
    nbactors.get(model.train.remote())
    for _ in range(2):
        crash(model)
        assert nbactors.get(model.total.remote()) == 200_000
    nbactors.get(model.train.remote())
    nbactors.checkpoint(model)
    crash(model)
    assert nbactors.get(model.total.remote()) == 300_000
    nbactors.kill(model)


def test_a_restarted_asyncio_actor_goes_on_from_its_last_checkpoint() -> None:
    model = make(AsyncModel, max_restarts=1, max_task_retries=-1)
    nbactors.get([model.train.remote() for _ in range(5)])
    nbactors.checkpoint(model)
    crash(model)
    assert nbactors.get(model.train.remote()) == 6


def test_another_process_may_have_made_the_checkpoint() -> None:
    model = make(Model, max_restarts=1, max_task_retries=-1, name="model", lifetime="detached")
    nbactors.get(model.train.remote())

    @nbactors.remote(num_cpus=0)
    def save() -> None:
        nbactors.checkpoint(nbactors.get_actor("model"))

    nbactors.get(save.remote(), timeout=10)
    crash(model)
    assert nbactors.get(model.total.remote()) == 100_000
    nbactors.kill(model)


@pytest.mark.parametrize("lifetime", ["detached", "non_detached"])
def test_a_restart_does_not_use_the_checkpoint_of_another_actor_of_the_name(lifetime: str) -> None:
    options = {"name": "model", "lifetime": lifetime, "max_restarts": 1, "max_task_retries": -1}
    first = make(Model, **options)
    nbactors.get(first.train.remote())
    nbactors.checkpoint(first)
    nbactors.kill(first)
    second = make(Model, **options)
    crash(second)
    assert nbactors.get(second.total.remote()) == 0
    nbactors.kill(second)


def test_an_actor_that_does_not_crash_gets_no_checkpoint_by_itself() -> None:
    model = make(Model, name="model", lifetime="detached")
    nbactors.get(model.train.remote())
    nbactors.checkpoint(model)
    nbactors.kill(model)
    model = make(Model, name="model", lifetime="detached", max_restarts=1)
    assert nbactors.get(model.total.remote()) == 0
    nbactors.kill(model)


class Picky(Model):
    """Cannot be restored."""

    def __nbactors_restore__(self, state: Any) -> None:
        if "crash" in state:
            os._exit(1)
        raise LookupError("the weights do not fit")

    def __nbactors_save__(self) -> Any:
        return self.__dict__


def test_a_hook_that_raises_in_a_restart_ends_the_actor_with_its_error() -> None:
    model = make(Picky, max_restarts=-1, max_task_retries=-1)
    nbactors.checkpoint(model)
    with pytest.raises(nbactors.exceptions.ActorDiedError, match=r"(?s)__nbactors_restore__.*the weights do not fit"):
        nbactors.get(model.__ray_call__.remote(lambda self: os._exit(1)), timeout=10)


def test_a_hook_that_crashes_in_a_restart_uses_the_restarts_up() -> None:
    model = make(Picky, max_restarts=3, max_task_retries=-1)
    nbactors.get(model.__ray_call__.remote(lambda self: setattr(self, "crash", True)))
    nbactors.checkpoint(model)
    with pytest.raises(nbactors.exceptions.ActorDiedError, match="exited unexpectedly with exit code 1"):
        nbactors.get(model.__ray_call__.remote(lambda self: os._exit(1)), timeout=10)


def test_a_checkpoint_that_is_damaged_ends_the_restarted_actor_with_the_reason() -> None:
    model = make(Model, max_restarts=-1, max_task_retries=-1, name="model", lifetime="detached")
    path = nbactors.checkpoint(model).path
    assert path is not None
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(nbactors.exceptions.ActorDiedError, match=re.escape(f"{path} ends too early")):
        nbactors.get(model.__ray_call__.remote(lambda self: os._exit(1)), timeout=10)


def test_restore_takes_the_previous_checkpoint_if_the_latest_is_damaged() -> None:
    model = make(Model, name="model", lifetime="detached")
    model.train.remote()
    first = nbactors.checkpoint(model)
    model.train.remote()
    second = nbactors.checkpoint(model)
    assert second.path is not None
    second.path.write_bytes(second.path.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="ends too early; the one before is taken") as warned:
        assert nbactors.restore(model) == first
    assert warned[0].filename == __file__
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
