"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from recording_engine import RecordingEngine

from nbactors import engine


@pytest.fixture
def recorded() -> Iterator[RecordingEngine]:
    """An engine that is current during the test, runs nothing, and keeps what it was asked."""
    made = RecordingEngine()
    engine.install(made)
    yield made
    engine.install(None)
