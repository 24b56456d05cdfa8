"""No node may be left from the test before: these tests are about whether one runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nbactors.util.state import stop_node


@pytest.fixture(autouse=True)
def _no_node() -> Iterator[None]:
    stop_node(force=True)
    yield
    stop_node(force=True)
