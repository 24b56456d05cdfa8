"""How often the static form of a widget is refreshed."""

from __future__ import annotations

from itertools import pairwise

import pytest

pytest.importorskip("IPython")

from nbactors.jupyter.cell_output.refresh_pace import SHARE, SOONEST_S, RefreshPace


def test_a_form_that_is_current_is_not_refreshed() -> None:
    pace = RefreshPace(0)
    assert pace.due_at is None
    pace.change()
    pace.refresh(5)
    assert pace.due_at is None


def test_the_first_change_is_stored_soon() -> None:
    pace = RefreshPace(10)
    pace.change()
    assert pace.due_at == 10 + SOONEST_S


def test_a_change_after_a_pause_is_stored_at_once() -> None:
    pace, now = RefreshPace(0), 100.0
    pace.refresh(4)
    pace.change()
    due_at = pace.due_at
    assert due_at is not None
    assert due_at < now


def test_refreshes_become_rarer_with_the_age_of_the_display() -> None:
    pace = RefreshPace(0)
    times = []
    now = 0.0
    while now < 36_000:
        pace.change()
        due_at = pace.due_at
        assert due_at is not None
        now = due_at
        pace.refresh(now)
        times.append(now)
    assert len(times) < 50
    for earlier, later in pairwise(times):
        assert later - earlier == pytest.approx(max(SOONEST_S, SHARE * earlier))
