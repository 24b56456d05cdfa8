"""The cases of the standard library's own tests of `multiprocessing.Pool`, run on the pool of actors."""

from __future__ import annotations

import importlib
import multiprocessing
import unittest
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import pytest

import nbactors
from nbactors.util.multiprocessing import Pool

try:
    CASES: ModuleType | None = importlib.import_module("test._test_multiprocessing")
except (ImportError, unittest.SkipTest):  # distributions often leave the package `test` out
    CASES = None

pytestmark = [
    pytest.mark.skipif(CASES is None, reason="this Python has no package `test` with the cases of multiprocessing"),
    pytest.mark.slow,
]

NOT_APPLICABLE = {
    "test_make_pool": "looks at the list of processes inside the pool",
    "test_pool_worker_lifetime": "looks at the list of processes inside the pool",
    "test_map_unplicklable": "its error is a TypeError here, as of every call",
    "test_resource_warning": "a pool of actors that is dropped leaves nothing behind, so nothing is warned of",
    "test_unpickleable_result": "its result, a lambda, can be pickled here",
    "test_worker_finalization_via_atexit_handler_of_multiprocessing": "runs a script with the standard pool",
}


def names(case: str) -> list[str]:
    found = getattr(CASES, case, object)
    return [f"{case}.{name}" for name in dir(found) if name.startswith("test_") and name not in NOT_APPLICABLE]


CLASSES = ("_TestPool", "_TestPoolWorkerErrors", "_TestPoolWorkerLifetime")
ALL = [name for case in CLASSES for name in names(case)]


@pytest.fixture(scope="module")
def shared() -> Iterator[Any]:
    """The pool that most cases share."""
    nbactors.init(num_cpus=4)
    pool = Pool(4)
    yield pool
    pool.terminate()
    pool.join()
    nbactors.shutdown()


@pytest.fixture
def make_case(shared: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], unittest.TestCase]:
    """Make an instance of a case whose pools are ours."""
    monkeypatch.setattr(multiprocessing, "Pool", Pool)

    def make(full_name: str) -> unittest.TestCase:
        case, name = full_name.split(".")
        ours: dict[str, Any] = {
            "TYPE": "processes",
            "Pool": staticmethod(partial(Pool)),
            "setUpClass": classmethod(lambda _: None),
            "tearDownClass": classmethod(lambda _: None),
        }
        made: Any = type(case, (getattr(CASES, case), unittest.TestCase), ours)(name)
        made.pool = shared  # not in the class, which is pickled for some of its methods
        return made  # type: ignore[no-any-return]

    return make


@pytest.mark.parametrize("full_name", ALL)
def test_a_case_of_the_standard_library_passes(full_name: str, make_case: Callable[[str], unittest.TestCase]) -> None:
    result = unittest.TestResult()
    make_case(full_name).run(result)
    problems = [text for _, text in [*result.errors, *result.failures]]
    assert (result.testsRun, problems) == (1, [])


def test_every_case_that_is_left_out_exists() -> None:
    assert set(NOT_APPLICABLE) <= {name for case in CLASSES for name in dir(getattr(CASES, case))}


def test_there_are_many_cases() -> None:
    assert len(ALL) > 20
