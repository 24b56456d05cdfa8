"""The creation of a named actor is interrupted while the user's code runs in it, and leaves no actor behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

import nbactors as ray
from nbactors.testing import eventually

MOST = 20
"""More than the times that one creation pickles what its class refers to."""


class Interrupting:
    """Raises KeyboardInterrupt when it is pickled for the `at`-th time, as a signal does that comes just then."""

    pickled: ClassVar[int] = 0
    at: ClassVar[int] = 0

    def __reduce__(self) -> Any:
        Interrupting.pickled += 1
        if Interrupting.pickled == Interrupting.at:
            raise KeyboardInterrupt
        return (Interrupting, ())


@pytest.fixture
def session() -> Iterator[None]:
    ray.init(num_cpus=2)
    yield
    ray.shutdown()


def test_no_moment_of_a_creation_leaves_a_named_actor_when_it_is_interrupted(session: None) -> None:
    # A local class: it is pickled by value, and what its dictionary holds with it.
    class Expected(Exception):
        probe = Interrupting()

    class Named:
        @ray.method(retry_exceptions=[Expected], max_task_retries=1)
        def ping(self) -> str:
            return "pong"

    interrupted = 0
    for Interrupting.at in range(1, MOST):
        Interrupting.pickled = 0
        try:
            actor = ray.remote(Named).options(name="named", num_cpus=0).remote()
        except KeyboardInterrupt:
            interrupted += 1
            eventually(lambda: not ray.util.list_named_actors())
        else:
            break
    Interrupting.at = 0
    assert 1 <= interrupted < MOST - 1
    assert ray.get(actor.ping.remote()) == "pong"
