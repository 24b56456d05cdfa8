"""The totals of an actor's calls are exact, also where most calls are too fast to get a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import nbactors as ray
from nbactors.testing.polling import eventually
from nbactors.util import state

MANY = 20_000


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    ray.init(num_cpus=2)
    yield
    ray.shutdown()


@ray.remote
class Fast:
    def add(self, number: int) -> int:
        return number

    def fail(self) -> None:
        raise ValueError("no")


def expect(actor: Any, finished: int, failed: int = 0, cancelled: int = 0) -> None:
    """Wait until the node has these totals."""
    known: dict[str, dict[str, Any]] = {}
    following = state.follow()
    wanted = {"finished": finished, "failed": failed, "cancelled": cancelled}

    def is_told() -> bool:
        news = following.next(0.1)
        known.update({each["actor_id"]: each for each in (news.totals if news is not None else ())})
        return known.get(actor._actor_id.hex()) == {"actor_id": actor._actor_id.hex(), **wanted}

    try:
        eventually(is_told, 20, lambda: f"{wanted}; known: {known}")
    finally:
        following.close()


@pytest.mark.parametrize("options", [{}, {"max_concurrency": 4}], ids=["synchronous", "threaded"])
def test_many_fast_calls_are_all_counted(options: dict[str, Any]) -> None:
    actor = Fast.options(**options).remote()
    assert ray.get(actor.add.remote(1)) == 1
    refs = [actor.add.remote(number) for number in range(MANY - 1)]
    assert sum(ray.get(refs)) == sum(range(MANY - 1))
    expect(actor, MANY)


def test_many_fast_failures_are_all_counted_as_failures() -> None:
    actor = Fast.remote()
    refs = [actor.fail.remote() for _ in range(MANY // 4)]
    for ref in refs:
        with pytest.raises(ValueError, match="no"):
            ray.get(ref)
    assert ray.get(actor.add.remote(1)) == 1
    expect(actor, 1, MANY // 4)


def test_calls_that_fail_at_their_caller_count_too() -> None:
    actor = Fast.remote()
    assert ray.get(actor.add.remote(1)) == 1
    expect(actor, 1)
    ray.kill(actor)
    refs = [actor.add.remote(1) for _ in range(3000)]
    for ref in refs:
        with pytest.raises(ray.exceptions.RayActorError, match="dead"):
            ray.get(ref)
    expect(actor, 1, 3000)
