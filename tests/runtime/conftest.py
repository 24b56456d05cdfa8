"""Fixtures of the tests that run real processes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbactors.testing.leaks import node_pid
from nbactors.util.state import stop_node


@pytest.fixture
def own_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory for one test, whose node ends with it. Short, since sockets' paths have to be."""
    path = Path(tempfile.mkdtemp(prefix="nbo-", dir="/tmp"))
    monkeypatch.setenv("NBACTORS_DIR", str(path))
    yield path
    # As it was, whatever the test has made of it.
    monkeypatch.setenv("NBACTORS_DIR", str(path))
    path.mkdir(exist_ok=True)
    path.chmod(0o700)
    if node_pid():
        stop_node(force=True)
    shutil.rmtree(path, ignore_errors=True)
