"""User code of the simulations: a class and a function whose calls are small programs, and handles that travel.

A program is a tuple of steps. A step is a tuple too: a word, and what it needs. A call is a generator, which yields its
pauses to `Run`: ("sleep", seconds), ("await", entry), ("die", status), ("signal", number) or ("block", number).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from nbactors.local import current
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.submitting.actors import ActorHold
from nbactors.local.worker.running.ending import ActorExit
from nbactors.object_ref import ObjectRef
from nbactors.pickling import pickling

Steps = tuple[tuple[Any, ...], ...]
Program = Generator[tuple[Any, ...], Any, Any]


class Handle:
    """A handle to an actor, which counts like a public one.

    Args:
        link: The link of the process that has the handle.
        name: The number of the actor in the plan.
        hold: The hold of that process; None for a weak handle.
    """

    def __init__(self, link: LocalActorLink, name: int, hold: ActorHold | None) -> None:
        self.link = link
        self.name = name
        self.hold = hold

    def weak(self) -> Handle:
        """Return a weak handle to the actor."""
        return Handle(current.member().actors.watch(self.link.actor_id), self.name, None)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.hold is not None and not pickling.note_contained(self.hold):
            raise AssertionError("a handle is pickled outside of a call")
        return (_rebuild, (self.link.actor_id, self.name, self.hold is None))


def _rebuild(actor_id: bytes, name: int, is_weak: bool) -> Handle:
    actors = current.member().actors
    if is_weak:
        return Handle(actors.watch(actor_id), name, None)
    hold = actors.obtain(actor_id)
    return Handle(hold.link, name, hold)


class Subject:
    """An actor. It may keep what calls bring."""

    def __init__(self, number: int, kind: str, *things: Any) -> None:
        current.member().tell("constructs", number)
        self.kept: list[Any] = list(things)
        if kind == "raises":
            raise ValueError(f"constructor {number}")
        if kind == "exits":
            raise ActorExit("the constructor ends the actor")
        if kind == "crashes":
            raise SystemExit(3)

    def run(self, number: int, steps: Steps, *things: Any) -> Program:
        return program(number, steps, list(things), self.kept)


def task(number: int, steps: Steps, *things: Any) -> Program:
    return program(number, steps, list(things), [])


def program(number: int, steps: Steps, things: list[Any], kept: list[Any]) -> Program:
    """Run the steps of a call. Returns `("result", number, ...)`.

    Args:
        number: The number of the call in the plan.
        things: The arguments, and what the steps make.
        kept: What the actor keeps between its calls.
    """
    member = current.member()
    tries = member.tell("begins", number)
    returned: list[Any] = []
    for word, *rest in steps:
        if word == "sleep":
            yield ("sleep", rest[0])
        elif word == "raise":
            if tries <= rest[0]:
                raise ValueError(f"call {number}")
        elif word == "exit":
            raise ActorExit("a call ends the actor")
        elif word == "crash":
            if tries <= rest[0]:
                raise SystemExit(3)
        elif word == "die":
            if tries <= rest[0]:
                yield ("die", 3)
        elif word == "call":
            handle = next((thing for thing in [*things, *kept] if type(thing) is Handle), None)
            if handle is not None:
                things.append(member.verbs.call(handle, *rest))
        elif word == "task":
            things.append(member.verbs.submit(*rest))
        elif word == "put":
            things.append(member.verbs.put([number, *(thing for thing in things if type(thing) is not list)][:3]))
        elif word == "get":
            for thing in things:
                if type(thing) is ObjectRef:
                    yield ("await", thing._entry)
        elif word == "block":
            yield ("block", rest[0])
        elif word == "signal":
            yield ("signal", rest[0])
        elif word == "keep":
            kept.extend(things)
        elif word == "forget":
            kept.clear()
        elif word == "drop":
            things.clear()
        elif word == "return":
            returned = [thing for thing in things if type(thing) in (Handle, ObjectRef)]
    member.tell("ends", number)
    return ("result", number, *returned)
