"""A chain of asyncio actors, each awaiting the next."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

import nbactors
from stress.subjects import Link

ACTORS = int(os.environ.get("NBACTORS_STRESS_ACTORS", "1000"))


@pytest.fixture
def session() -> Iterator[None]:
    nbactors.init(num_cpus=2)
    yield
    nbactors.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(60 + ACTORS / 4)
def test_a_call_through_a_chain_of_actors_returns(session: None) -> None:
    start = time.monotonic()
    cls: Any = nbactors.remote(Link)
    link = cls.remote()
    for _ in range(ACTORS - 1):
        link = cls.remote(link)
    for what in ("made and run", "run again"):
        assert nbactors.get(link.depth.remote(), timeout=50 + ACTORS / 4) == ACTORS
        print(f"{ACTORS} actors {what} by {time.monotonic() - start:.2f} s")
