"""`Plan`: what the clients of a simulation do, and what goes wrong. Drawn from a seed, it shrinks by its elements."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from simulation.sockets import Weather
from simulation.subject import Steps


class Create(NamedTuple):
    """The session creates an actor."""

    at: float
    actor: int
    max_restarts: int = 0
    max_task_retries: int = 0
    kind: str = "plain"
    max_concurrency: int = 1
    things: tuple[tuple[str, int], ...] = ()


class Call(NamedTuple):
    """The session calls an actor.

    `things` are arguments: ("value" | "boxed", call or put), ("handle" | "weak", actor).
    """

    at: float
    call: int
    actor: int
    retries: int | None
    retries_errors: bool
    steps: Steps
    things: tuple[tuple[str, int], ...] = ()


class Task(NamedTuple):
    """The session submits a task."""

    at: float
    call: int
    retries: int
    retries_errors: bool
    steps: Steps
    things: tuple[tuple[str, int], ...] = ()


class Put(NamedTuple):
    """The session stores a value with references and handles in it."""

    at: float
    put: int
    things: tuple[tuple[str, int], ...] = ()


class Read(NamedTuple):
    """The session loads a result, and keeps the references and handles in it."""

    at: float
    call: int


class Cancel(NamedTuple):
    """The session cancels a call."""

    at: float
    call: int
    force: bool


class Kill(NamedTuple):
    """The session kills an actor."""

    at: float
    actor: int
    no_restart: bool


class Drop(NamedTuple):
    """The session drops its reference to a result or put ("value"), what it has read, or its handle ("handle")."""

    at: float
    what: str
    number: int


class Weaken(NamedTuple):
    """The session replaces its handle to an actor by a weak one."""

    at: float
    actor: int


class Crash(NamedTuple):
    """A worker is killed at a time. Workers are counted in the order of their forks, from 0."""

    at: float
    worker: int


class CrashAfter(NamedTuple):
    """A worker is killed after so many of its steps: between any two messages."""

    worker: int
    steps: int


class Stall(NamedTuple):
    """A process does nothing for a while: worker number `worker`, or the session for -1."""

    at: float
    worker: int
    seconds: float


class Cut(NamedTuple):
    """A connection breaks behind so many bytes of one direction: of the side that connected, or of its answers."""

    link: int
    is_answer: bool
    bytes: int


class Break(NamedTuple):
    """A connection breaks at a time."""

    at: float
    link: int


class Delay(NamedTuple):
    """Some chunks of one direction of a connection are late."""

    link: int
    is_answer: bool
    first: int
    count: int
    seconds: float


class Refuse(NamedTuple):
    """A connection is not taken at the first attempt."""

    link: int


class NodeCrash(NamedTuple):
    """The node is killed at a time after the begin of a phase: "play", "let go" or "end"."""

    at: float
    phase: str = "play"


class NodeCrashAfter(NamedTuple):
    """A node is killed after so many of its actions, of whose messages so many processes still get theirs.

    Nodes are counted from 0. The actions of the first one count from the begin of the plan.
    """

    node: int
    actions: int
    sendings: int


class Leave(NamedTuple):
    """The session is killed."""

    at: float


OPERATIONS = (Create, Call, Task, Put, Read, Cancel, Kill, Drop, Weaken)
FAULTS = (Crash, CrashAfter, Stall, Cut, Break, Delay, Refuse, NodeCrash, NodeCrashAfter, Leave)
NODE_CRASHES = (NodeCrash, NodeCrashAfter)


class Plan(NamedTuple):
    """A whole simulation.

    Attributes:
        seed: Decides the delays.
        cpus: The CPUs of the session.
        elements: Operations and faults.
    """

    seed: int
    weather: Weather
    cpus: int
    elements: tuple[Any, ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, {self.cpus} CPUs, {self.weather}"]
        timed = sorted((one for one in self.elements if hasattr(one, "at")), key=lambda one: one.at)
        return "\n    ".join([*lines, *map(str, timed), *(str(one) for one in self.elements if not hasattr(one, "at"))])


WEATHERS = (
    Weather(),
    Weather(0.0002, 8, 0.01),
    Weather(0.001, 4, 0.05),
    Weather(0.00005, 12, 0.6),
)

SPAN_S = 0.6
"""The operations of a plan lie within so many seconds."""


def draw(seed: int) -> Plan:
    """Return the plan of a seed."""
    return _Artist(seed).draw()


class _Artist:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed * 7919 + 17)
        self._actors: dict[int, float] = {}
        self._calls: dict[int, float] = {}
        self._handlers: list[int] = []
        self._next = 0
        self._elements: list[Any] = []

    def _number(self) -> int:
        self._next += 1
        return self._next

    def _may(self, share: float) -> bool:
        return self._random.random() < share

    def draw(self) -> Plan:
        rng = self._random
        count = rng.randint(3, 14)
        times = sorted(round(rng.random() ** 2 * SPAN_S, 4) for _ in range(count))
        for at in times:
            self._draw_operation(at)
        if self._may(0.1):
            self._draw_wait(round(rng.random() * 0.3, 3))
        if self._may(0.8):
            for _ in range(rng.randint(1, 3)):
                self._draw_fault()
        weather = rng.choice(WEATHERS)
        if self._may(0.4):
            self._draw_crashes_of_nodes()
        return Plan(seed=self._seed, weather=weather, cpus=4, elements=tuple(self._elements))

    def _draw_crashes_of_nodes(self) -> None:
        """Draw crashes, also of a node to which processes just return, and what makes a process return late."""
        rng = self._random
        node = 0
        while True:
            if self._may(0.7):
                actions = int(rng.expovariate(1 / 60 if not node else 1 / 25)) + 1
                self._elements.append(NodeCrashAfter(node, actions, rng.choice((0, 0, 1, 2, 9))))
            else:
                phase = rng.choice(("play", "play", "play", "let go", "end"))
                self._elements.append(NodeCrash(round(rng.random() * rng.choice((0.1, SPAN_S, 2.0)), 4), phase))
            node += 1
            if self._may(0.6):
                break
        if self._may(0.2):
            at = round(rng.random() * SPAN_S, 4)
            self._elements.append(Stall(at, rng.randint(-1, 3), rng.choice((1.2, 1.8, 3.0))))
        if self._may(0.15):
            self._elements.append(Leave(round(rng.random() * SPAN_S * 2, 4)))

    def _draw_operation(self, at: float) -> None:
        rng = self._random
        dice = rng.random()
        if (not self._actors and dice < 0.6) or dice < 0.12:
            self._create(at)
        elif dice < 0.55 and self._actors:
            self._call(at)
        elif dice < 0.7:
            self._task(at)
        elif dice < 0.76:
            number = self._number()
            self._elements.append(Put(at, number, self._things(boxed=True)))
            self._calls[number] = at
        elif dice < 0.82 and self._calls:
            self._elements.append(Read(at, rng.choice(list(self._calls))))
        elif dice < 0.86 and self._calls:
            self._elements.append(Cancel(at, rng.choice(list(self._calls)), self._may(0.3)))
        elif dice < 0.89 and self._actors:
            self._elements.append(Kill(at, rng.choice(list(self._actors)), self._may(0.5)))
        elif self._actors and self._may(0.5):
            actor = rng.choice(list(self._actors))
            if self._may(0.3):
                self._elements.append(Weaken(at, actor))
            else:
                self._elements.append(Drop(at, "handle", actor))
                del self._actors[actor]
        elif self._calls:
            call = rng.choice(list(self._calls))
            self._elements.append(Drop(at, "value", call))
            del self._calls[call]

    def _create(self, at: float) -> None:
        rng = self._random
        actor = self._number()
        self._actors[actor] = at
        kind = rng.choices(("plain", "raises", "exits", "crashes"), (30, 1, 1, 1))[0]
        self._elements.append(
            Create(
                at,
                actor,
                max_restarts=rng.choice((0, 0, 1, 2, -1)) if kind != "crashes" else rng.choice((0, 1)),
                max_task_retries=rng.choice((0, 0, 1, -1)),
                kind=kind,
                max_concurrency=rng.choice((1, 1, 1, 2)),
                things=self._things() if self._may(0.2) else (),
            )
        )
        others = [other for other in self._actors if other != actor]
        if others and self._may(0.3):
            # The handle comes back at once, while the node may not know the actor yet.
            number = self._number()
            self._elements.append(
                Call(at, number, rng.choice(others), None, False, (("return",),), ((self._kind(), actor),))
            )
            self._calls[number] = at

    def _call(self, at: float) -> None:
        rng = self._random
        actor = rng.choice(list(self._actors))
        for index in range(rng.choice((1, 1, 2, 3, 6))):
            number = self._number()
            actor = rng.choice(list(self._actors)) if self._may(0.1) else actor
            retries = rng.choice((None, None, 0, 1, 3))
            errors = self._may(0.1)
            things = self._things() if self._may(0.5) else ()
            self._elements.append(Call(at, number, actor, retries, errors, self._steps(things, 0), things))
            self._calls[number] = at
            if things and not index and self._may(0.15):
                self._elements.append(Cancel(at + 0.001, number, False))

    def _task(self, at: float) -> None:
        rng = self._random
        for _ in range(rng.choice((1, 1, 2, 6))):
            number = self._number()
            things = self._things() if self._may(0.4) else ()
            steps = self._steps(things, 1)
            self._elements.append(Task(at, number, rng.choice((0, 1, 3)), self._may(0.1), steps, things))
            self._calls[number] = at

    def _draw_wait(self, at: float) -> None:
        """Draw a task that goes on only when a later task runs. Both fit into the CPUs of the session."""
        first, second, signal = self._number(), self._number(), self._number()
        for _ in range(self._random.choice((0, 6))):
            self._elements.append(Task(at, self._number(), 0, False, ()))
        how = self._random.choice(("block", "block"))
        self._elements.append(Task(at + 0.1, first, 0, False, ((how, signal),)))
        self._elements.append(Task(round(at + self._random.random() * 0.4, 3), second, 0, False, (("signal", signal),)))

    def _things(self, boxed: bool = False) -> tuple[tuple[str, int], ...]:
        rng = self._random
        things: list[tuple[str, int]] = []
        for _ in range(rng.choice((1, 1, 2))):
            if self._calls and self._may(0.5):
                things.append(("boxed" if boxed or self._may(0.6) else "value", rng.choice(list(self._calls))))
            elif self._actors:
                things.append((self._kind(), rng.choice(list(self._actors))))
        return tuple(things)

    def _kind(self) -> str:
        return "weak" if self._may(0.25) else "handle"

    def _steps(self, things: tuple[tuple[str, int], ...], depth: int) -> Steps:
        rng = self._random
        steps: list[tuple[Any, ...]] = []
        if self._may(0.3):
            steps.append(("sleep", rng.choice((0.0005, 0.004, 0.02, 0.3))))
        for _ in range(rng.choice((0, 0, 1, 2))):
            dice = rng.random()
            if dice < 0.25 and things:
                steps.append(("call", self._number(), rng.choice((0, 1, -1)), self._inner()))
            elif dice < 0.35:
                steps.append(("task", self._number(), rng.choice((0, 1)), self._inner()))
            elif dice < 0.5:
                steps.append(("put",))
            elif dice < 0.6 and depth:  # an actor that waits for itself waits for ever
                steps.append(("get",))
            elif dice < 0.7:
                steps.append(("keep",))
            elif dice < 0.75:
                steps.append(("forget",))
            elif dice < 0.8:
                steps.append(("raise", rng.choice((1, 1, 9))))
            elif dice < 0.83:
                steps.append(("die", rng.choice((1, 1, 2, 9))))
            elif dice < 0.85 and not depth:
                steps.append(("exit",))
            elif dice < 0.86 and not depth:
                steps.append(("crash", rng.choice((1, 2))))
            else:
                steps.append(("sleep", rng.choice((0.0001, 0.01))))
        if self._may(0.4):
            steps.append(("return",))
        return tuple(steps)

    def _inner(self) -> Steps:
        rng = self._random
        inner: list[tuple[Any, ...]] = []
        if self._may(0.3):
            inner.append(("sleep", rng.choice((0.0005, 0.02))))
        if self._may(0.2):
            inner.append(("put",))
            inner.append(("return",))
        if self._may(0.05):
            inner.append(("die", 1))
        return tuple(inner)

    def _draw_fault(self) -> None:
        rng = self._random
        dice = rng.random()
        link, is_answer = int(rng.expovariate(0.5)), self._may(0.5)
        if dice < 0.25:
            self._elements.append(CrashAfter(int(rng.expovariate(0.6)), rng.randint(1, 60)))
        elif dice < 0.4:
            self._elements.append(Crash(round(rng.random() * SPAN_S, 4), int(rng.expovariate(0.6))))
        elif dice < 0.5:
            self._elements.append(
                Stall(round(rng.random() * SPAN_S, 4), rng.randint(-1, 3), rng.choice((0.003, 0.05, 0.7)))
            )
        elif dice < 0.6:
            # What has arrived is read only after the connection was made anew.
            at = round(rng.random() * SPAN_S, 4)
            self._elements.append(Stall(at, rng.randint(-1, 3), rng.choice((0.003, 0.05))))
            self._elements.append(Break(at + 0.001, link))
        elif dice < 0.8:
            self._elements.append(Cut(link, is_answer, int(rng.expovariate(0.002))))
        elif dice < 0.95:
            first = int(rng.expovariate(0.3))
            self._elements.append(
                Delay(link, is_answer, first, rng.choice((1, 3, 99)), rng.choice((0.003, 0.05, 0.3, 1.0)))
            )
        else:
            self._elements.append(Refuse(link))
