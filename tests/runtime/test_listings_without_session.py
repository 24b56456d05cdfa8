"""The listings of `nbactors.util.state` in a process without a session, and with a node that does not answer."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbactors as ray
from nbactors.util import state

# These have nothing to list here, or read files of a node that runs.
OTHERS = {"list_cluster_events", "list_logs", "list_runtime_envs", "get_log"}
LISTINGS = sorted(name for name in state.__all__ if name.startswith(("list_", "summarize_")) and name not in OTHERS)
GETTERS = sorted(name for name in state.__all__ if name.startswith("get_") and name not in OTHERS)


@pytest.fixture(autouse=True)
def _directory(own_directory: Path) -> Iterator[None]:
    yield
    ray.shutdown()


@pytest.fixture
def stopped_node() -> Iterator[None]:
    """A node that a signal has stopped, so that it answers nobody."""
    ray.init(num_cpus=1)
    status = state.node_status(with_actors=False)
    assert status is not None
    os.kill(status["pid"], signal.SIGSTOP)
    yield
    os.kill(status["pid"], signal.SIGCONT)


@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_opens_no_session_and_starts_no_node(name: str) -> None:
    listing: Any = getattr(state, name)()
    assert listing == [] if name.startswith("list_") else listing["cluster"]["summary"] == {}
    assert not ray.is_initialized()
    assert state.node_status() is None


@pytest.mark.parametrize("name", GETTERS)
def test_a_row_is_looked_for_without_a_session(name: str) -> None:
    assert not getattr(state, name)("00")
    assert not ray.is_initialized()
    assert state.node_status() is None


def test_placement_groups_are_listed_from_any_process_of_the_user() -> None:
    ray.init(num_cpus=2, namespace="listings")
    group = ray.util.placement_group([{"CPU": 1}, {"CPU": 1}], name="pair", lifetime="detached")
    assert ray.get(group.ready())
    keeper = ray.remote(num_cpus=0)(object).options(name="keeper", lifetime="detached").remote()
    assert keeper is not None
    ray.shutdown()
    (row,) = state.list_placement_groups(filters=[("name", "=", "pair")], detail=True)
    assert not ray.is_initialized()
    assert (row.state, row.is_detached, len(row.bundles)) == ("CREATED", True, 2)
    assert state.get_placement_group(row.placement_group_id) == row


@pytest.mark.usefixtures("stopped_node")
@pytest.mark.parametrize("name", [name for name in LISTINGS if name != "list_nodes"])
def test_a_listing_waits_no_longer_than_its_timeout(name: str) -> None:
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="the node has not sent"):
        getattr(state, name)(timeout=0.5)
    assert time.monotonic() - start < 5


@pytest.mark.usefixtures("stopped_node")
def test_a_node_that_does_not_answer_is_listed() -> None:
    (row,) = state.list_nodes(timeout=0.5)
    assert row.state == "STOPPED"
