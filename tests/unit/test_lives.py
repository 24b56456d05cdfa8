"""The tables of calls and objects, without anything around them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbactors.local.objects import object_life
from nbactors.local.submitting import call_life

LIVES = [
    pytest.param(call_life, call_life.WAITING, {call_life.FINISHED, call_life.FAILED}, id="call"),
    pytest.param(
        object_life, object_life.PENDING, {object_life.READY, object_life.FAILED, object_life.LOST}, id="object"
    ),
]


def _steps(life):
    return [step for states in life.TABLE.values() for step in states.items()]


@pytest.mark.parametrize(("life", "start", "final"), LIVES)
def test_final_states_have_no_transition(life, start, final):
    assert not [state for states in life.TABLE.values() for state in states if state in final]


@pytest.mark.parametrize(("life", "start", "final"), LIVES)
def test_every_state_is_reachable_and_leads_to_a_final_state(life, start, final):
    reached = {start}
    for _ in life.STATES:
        reached |= {after for before, after in _steps(life) if before in reached}
    assert reached == set(range(len(life.STATES)))
    for state in reached - final:
        ends = {state}
        for _ in life.STATES:
            ends |= {after for before, after in _steps(life) if before in ends}
        assert ends & final


@pytest.mark.parametrize(("life", "start", "final"), LIVES)
def test_every_unfinished_state_can_fail(life, start, final):
    """A dead worker or owner may strike in any of them."""
    failing = {"fail", "loss"}
    for state in set(range(len(life.STATES))) - final:
        assert any(state in life.TABLE.get(event, {}) for event in failing)


@given(st.lists(st.sampled_from(["ready", "send", "reply", "fail", "return"]), max_size=30))
def test_a_call_finishes_at_most_once(events):
    state = call_life.WAITING
    ends = 0
    for event in events:
        after = call_life.TABLE[event].get(state)
        if after is not None:
            state = after
            ends += state in (call_life.FINISHED, call_life.FAILED)
    assert ends <= 1
