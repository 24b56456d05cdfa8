"""`init(job_config=...)`: the lifetime of actors."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.subjects import Counter


class Creator:
    """Creates an actor in a worker."""

    def __init__(self, module: str) -> None:
        self.ray = importlib.import_module(module)

    def create(self, name: str) -> None:
        self.ray.get(self.ray.remote(Counter).options(name=name).remote().increment.remote())


@pytest.fixture
def detaching(init: Callable[..., Any], fresh: Any, module_name: str) -> Iterator[Any]:
    """The module under test, with a session whose actors are detached."""
    config = importlib.import_module(f"{module_name}.job_config").JobConfig(
        default_actor_lifetime="detached", ray_namespace="conformance"
    )
    init(job_config=config)
    yield fresh
    util = importlib.import_module(f"{module_name}.util")
    for name in util.list_named_actors():
        fresh.kill(fresh.get_actor(name))


class TestDefaultLifetime:
    def test_an_actor_outlives_its_handles(self, detaching: Any, name: str) -> None:
        actor = detaching.remote(Counter).options(name=name).remote()
        detaching.get(actor.increment.remote())
        del actor
        assert detaching.get(detaching.get_actor(name).increment.remote()) == 2

    def test_so_does_one_that_a_worker_creates(self, detaching: Any, module_name: str, name: str) -> None:
        creator = detaching.remote(Creator).options(lifetime="non_detached").remote(module_name)
        detaching.get(creator.create.remote(name))
        detaching.kill(creator)
        assert detaching.get(detaching.get_actor(name).increment.remote()) == 2

    def test_the_option_comes_first(self, detaching: Any, eventually: Any, name: str) -> None:
        actor = detaching.remote(Counter).options(name=name, lifetime="non_detached").remote()
        detaching.get(actor.increment.remote())
        del actor

        def is_gone() -> bool:
            try:
                detaching.get_actor(name)
            except ValueError:
                return True
            return False

        eventually(is_gone)
