"""Identifiers."""

from __future__ import annotations

import pytest

from nbactors.local.wire import ids


def test_nodes_are_ordered_by_their_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(ids, "monotonic", lambda: now)
    last = ids.new_node_id()
    assert len(last) == ids.NODE_ID_SIZE
    for days in (0.001, 1, 20, 40, 50, 60, 80, 100):
        now = days * 86400.0
        fresh = ids.new_node_id()
        assert ids.came_before(last[: ids.TAG_SIZE], fresh[: ids.TAG_SIZE])
        assert not ids.came_before(fresh[: ids.TAG_SIZE], last[: ids.TAG_SIZE])
        last = fresh


def test_no_node_comes_before_itself() -> None:
    assert not ids.came_before(bytes(4), bytes(4))
