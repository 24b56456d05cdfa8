"""Fixtures of the reactor's tests. Files that need another reactor have a fixture of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nbactors.local.reactor import background
from nbactors.local.reactor.reactor import Reactor


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """A reactor that its background thread leads while nobody waits."""
    reactor = Reactor("test-io")
    background.start(reactor)
    yield reactor
    reactor.close()
