"""The life of an actor in the node: the table of its states and transitions."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """The state of an actor. `shown` is the name in listings, which is Ray's.

    Ray's DEPENDENCIES_UNREADY does not occur, because the creator itself waits for the constructor's arguments.
    Listings show RESTARTING until the constructor of a restarted actor has returned.
    """

    WAITING = "PENDING_CREATION", "in the queue for resources"
    STARTING = "PENDING_CREATION", "its process is being made"
    CONSTRUCTING = "PENDING_CREATION", "its process listens, the constructor has not returned"
    ALIVE = "ALIVE", "the constructor has returned"
    RESTARTING = "RESTARTING", "its process has crashed: it is in the queue for resources again"
    ENDING = "DEAD", "told to end: dead for everybody else, while its process finishes what it was given"
    DYING = "DEAD", "its process is gone, how it ended is being found out"
    DEAD = "DEAD", "over"

    def __init__(self, shown: str, meaning: str) -> None:
        self.shown = shown
        self.meaning = meaning


class Cause(Enum):
    """The cause of a transition."""

    PLACE = "resources were found"
    CONNECT = "its process has registered"
    CONSTRUCT = "the constructor has returned"
    END = "it was told to end"
    LOSE = "its process is gone"
    RETRY = "its process has ended before it was ready: another is to be made"
    RESTART = "its process has crashed, and a restart is left"
    REPORT = "how it ended is known, or not to be known"
    DISCARD = "it was killed, or had no handle left before it could run"


TABLE: dict[tuple[State, Cause], State] = {
    (State.WAITING, Cause.PLACE): State.STARTING,
    (State.WAITING, Cause.DISCARD): State.DEAD,
    (State.STARTING, Cause.CONNECT): State.CONSTRUCTING,
    (State.STARTING, Cause.RETRY): State.WAITING,
    (State.STARTING, Cause.LOSE): State.DYING,
    (State.STARTING, Cause.DISCARD): State.DEAD,
    (State.CONSTRUCTING, Cause.CONSTRUCT): State.ALIVE,
    (State.CONSTRUCTING, Cause.END): State.ENDING,
    (State.CONSTRUCTING, Cause.RESTART): State.RESTARTING,
    (State.CONSTRUCTING, Cause.LOSE): State.DYING,
    (State.CONSTRUCTING, Cause.DISCARD): State.DEAD,
    (State.ALIVE, Cause.END): State.ENDING,
    (State.ALIVE, Cause.RESTART): State.RESTARTING,
    (State.ALIVE, Cause.LOSE): State.DYING,
    (State.ALIVE, Cause.DISCARD): State.DEAD,
    (State.RESTARTING, Cause.PLACE): State.STARTING,
    (State.RESTARTING, Cause.DISCARD): State.DEAD,
    (State.ENDING, Cause.CONSTRUCT): State.ENDING,
    (State.ENDING, Cause.LOSE): State.DYING,
    (State.ENDING, Cause.DISCARD): State.DEAD,
    (State.DYING, Cause.REPORT): State.DEAD,
    (State.DYING, Cause.DISCARD): State.DEAD,
}
"""All transitions. A missing pair is a bug in the node, never a mistake of a client."""


class TransitionError(Exception):
    """The node tried a transition that the table does not have."""


def follow(state: State, cause: Cause) -> State:
    """Return the state after `cause`.

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
