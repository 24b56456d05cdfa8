"""Fixtures of the tests of the node's rules."""

from __future__ import annotations

import pytest
from node_scenario import Scenario


@pytest.fixture
def node() -> Scenario:
    """The node's rules, without a process, a socket or a clock."""
    return Scenario()
