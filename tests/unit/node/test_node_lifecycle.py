from __future__ import annotations

import pytest

from nbactors.local.node.rules.lifecycle import TABLE, Cause, State, TransitionError, diagram, follow


def reachable(start: State) -> set[State]:
    found = {start}
    while True:
        more = {target for (state, _), target in TABLE.items() if state in found} - found
        if not more:
            return found
        found |= more


def test_every_state_is_reached() -> None:
    assert reachable(State.WAITING) == set(State)


@pytest.mark.parametrize("state", sorted(State, key=lambda state: state.name))
def test_every_state_leads_to_dead(state: State) -> None:
    assert State.DEAD in reachable(state)


def test_no_transition_leaves_dead() -> None:
    assert not [state for state, _ in TABLE if state is State.DEAD]


@pytest.mark.parametrize("state", sorted(set(State) - {State.DEAD}, key=lambda state: state.name))
def test_every_living_state_can_be_discarded(state: State) -> None:
    assert follow(state, Cause.DISCARD) is State.DEAD


def test_a_transition_that_the_table_lacks_raises() -> None:
    with pytest.raises(TransitionError, match="an actor that is WAITING cannot take CONSTRUCT"):
        follow(State.WAITING, Cause.CONSTRUCT)


def test_states_are_shown_by_rays_names() -> None:
    assert {state.shown for state in State} == {"PENDING_CREATION", "ALIVE", "RESTARTING", "DEAD"}


def test_the_diagram_has_every_transition() -> None:
    lines = diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert len(lines) == len(TABLE) + 3
    assert "    STARTING --> CONSTRUCTING: its process has registered" in lines
