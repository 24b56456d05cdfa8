"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from node_scenario import Scenario
from recording_engine import RecordingEngine

from nbactors import engine


@pytest.fixture
def recorded() -> Iterator[RecordingEngine]:
    """An engine that is current during the test, runs nothing, and keeps what it was asked."""
    made = RecordingEngine()
    engine.install(made)
    yield made
    engine.install(None)


@pytest.fixture
def node() -> Scenario:
    """The node's rules, without a process, a socket or a clock."""
    return Scenario()
