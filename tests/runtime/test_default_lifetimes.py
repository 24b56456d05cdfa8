"""Actors of a session whose `JobConfig` makes them detached."""

from __future__ import annotations

import pytest

import nbactors as ray
from nbactors.job_config import JobConfig
from nbactors.testing import eventually
from nbactors.util.calls import kill_actor
from nbactors.util.state import list_actors

pytestmark = pytest.mark.slow


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def increment(self) -> int:
        self.count += 1
        return self.count


def test_an_actor_without_name_outlives_its_session(recwarn: pytest.WarningsRecorder) -> None:
    ray.init(num_cpus=1, job_config=JobConfig(default_actor_lifetime="detached"))
    try:
        actor = ray.remote(Counter).remote()
        assert ray.get(actor.increment.remote()) == 1
        actor_id = actor._actor_id.hex()
        ray.shutdown()
        assert not recwarn.list
        ray.init(num_cpus=1)
        (row,) = [row for row in list_actors(limit=100) if row.actor_id == actor_id]
        assert row.state == "ALIVE"
        kill_actor(actor_id)
        eventually(lambda: not [row for row in list_actors() if row.actor_id == actor_id and row.state == "ALIVE"])
    finally:
        ray.shutdown()


def test_the_warning_of_an_anonymous_namespace_names_the_line_that_makes_the_actor() -> None:
    ray.init(num_cpus=1)
    try:
        with pytest.warns(UserWarning, match="anonymous namespace") as warned:
            actor = ray.remote(Counter).options(name="lost", lifetime="detached").remote()
        ray.kill(actor)
        assert warned[0].filename == __file__
    finally:
        ray.shutdown()
