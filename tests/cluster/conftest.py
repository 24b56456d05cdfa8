"""Tests of the engine on a Ray cluster: a cluster of this machine, which the tests of a session share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def pytest_configure(config: pytest.Config) -> None:
    # Ray's own warnings are not ours to mend.
    config.addinivalue_line("filterwarnings", "ignore:::ray")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folder out of other runs, which have no Ray: `scripts/test-cluster` runs it with `--engine cluster`."""
    if collection_path.name.startswith("test_") and config.getoption("--engine") != "cluster":
        return True
    return None


@pytest.fixture(scope="session")
def _nbactors() -> Iterator[Any]:
    os.environ.update(ENVIRONMENT)
    import nbactors

    yield nbactors
    nbactors.shutdown()


@pytest.fixture
def ray(_nbactors: Any) -> Any:
    """nbactors, with a session on a cluster of one node."""
    if not _nbactors.is_initialized():
        _nbactors.init(engine="ray", num_cpus=4, resources={"widget": 1}, namespace="cluster-tests")
    return _nbactors


@pytest.fixture
def fresh(_nbactors: Any) -> Iterator[Any]:
    """nbactors without a session; what the test starts is ended."""
    _nbactors.shutdown()
    yield _nbactors
    _nbactors.shutdown()
