"""What a call executes: counts, which do not depend on the machine's speed or load."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors
from benchmarks.account import account, room_of
from nbactors.speedups import compiled

if platform.python_implementation() != "CPython":
    pytest.skip("other interpreters count otherwise", allow_module_level=True)


def test_a_room_is_the_folder_of_a_file() -> None:
    package = Path(nbactors.__file__).parent
    assert room_of(str(package / "local" / "reactor" / "reactor.py")) == "local/reactor"
    assert room_of(str(package / "actor.py")) == "api"
    assert room_of("/usr/lib/python3/asyncio/events.py") == "elsewhere"


@pytest.fixture
def session() -> Iterator[None]:
    nbactors.init(log_to_driver=False)
    yield
    nbactors.shutdown()


# The functions that a call runs at most, in its caller and its worker.
FEW = [("plain", 70, 76), ("async", 70, 122)] if compiled is None else [("plain", 26, 12), ("async", 26, 40)]

# A room in which a caller executes more bytecodes than that in each form.
COUNTED, LEAST = ("local/connections", 500) if compiled is None else ("local/objects", 100)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("kind", "in_caller", "in_worker"), FEW)
def test_a_call_runs_few_functions(session: None, kind: str, in_caller: int, in_worker: int) -> None:
    """So a new function on the path of every call is noticed."""
    interval = sys.getswitchinterval()
    # The first 200 calls of each half second get rows in the task events. So counts of 200 calls differ, and the least
    # of three is that of the others.
    caller, worker = min((account(kind) for _ in range(3)), key=lambda sides: sum(sides[1].python.values()))
    assert 15 < sum(caller.python.values()) < in_caller, caller
    assert 5 < sum(worker.python.values()) < in_worker, worker
    assert caller.bytecodes[COUNTED] > LEAST
    assert sys.getswitchinterval() == interval
