"""The life of an actor as the node sees it: one table of states and transitions, nothing else."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where an actor stands. The value is the name that listings show, which is Ray's.

    Ray's DEPENDENCIES_UNREADY does not occur: whoever creates an actor waits for the constructor's arguments itself.
    RESTARTING is kept for restarts, and no transition leads to it yet.
    """

    WAITING = "PENDING_CREATION", "in the queue for resources"
    STARTING = "PENDING_CREATION", "its process is being made"
    CONSTRUCTING = "PENDING_CREATION", "its process listens, the constructor has not returned"
    ALIVE = "ALIVE", "the constructor has returned"
    RESTARTING = "RESTARTING", "reserved"
    ENDING = "DEAD", "told to end: dead for everybody else, while its process finishes what it was given"
    DYING = "DEAD", "its process is gone, how it ended is being found out"
    DEAD = "DEAD", "over"

    def __init__(self, shown: str, meaning: str) -> None:
        self.shown = shown
        self.meaning = meaning


class Cause(Enum):
    """What moves an actor on."""

    PLACE = "resources were found"
    CONNECT = "its process has registered"
    CONSTRUCT = "the constructor has returned"
    END = "it was told to end"
    LOSE = "its process is gone"
    RETRY = "its process has ended before it was ready: another is to be made"
    REPORT = "how it ended is known, or not to be known"
    DISCARD = "killed, or nobody wants it before it could run"


TABLE: dict[tuple[State, Cause], State] = {
    (State.WAITING, Cause.PLACE): State.STARTING,
    (State.WAITING, Cause.DISCARD): State.DEAD,
    (State.STARTING, Cause.CONNECT): State.CONSTRUCTING,
    (State.STARTING, Cause.RETRY): State.WAITING,
    (State.STARTING, Cause.LOSE): State.DYING,
    (State.STARTING, Cause.DISCARD): State.DEAD,
    (State.CONSTRUCTING, Cause.CONSTRUCT): State.ALIVE,
    (State.CONSTRUCTING, Cause.END): State.ENDING,
    (State.CONSTRUCTING, Cause.LOSE): State.DYING,
    (State.CONSTRUCTING, Cause.DISCARD): State.DEAD,
    (State.ALIVE, Cause.END): State.ENDING,
    (State.ALIVE, Cause.LOSE): State.DYING,
    (State.ALIVE, Cause.DISCARD): State.DEAD,
    (State.ENDING, Cause.CONSTRUCT): State.ENDING,
    (State.ENDING, Cause.LOSE): State.DYING,
    (State.ENDING, Cause.DISCARD): State.DEAD,
    (State.DYING, Cause.REPORT): State.DEAD,
    (State.DYING, Cause.DISCARD): State.DEAD,
}
"""Everything that can happen. A pair that is missing is a mistake of the node's, never of a client's."""


class TransitionError(Exception):
    """The node tried to move an actor on in a way that the table does not have."""


def follow(state: State, cause: Cause) -> State:
    """Return the state that `cause` leads to.

    Raises:
        TransitionError: The table has no such transition.
    """
    try:
        return TABLE[state, cause]
    except KeyError:
        raise TransitionError(f"an actor that is {state.name} cannot take {cause.name}: {cause.value}") from None


def diagram() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.WAITING.name}"]
    lines += [f"    {state.name} --> {target.name}: {cause.value}" for (state, cause), target in TABLE.items()]
    lines.append(f"    {State.DEAD.name} --> [*]")
    return "\n".join(lines)
