"""Drives a `NodeState` by hand: clients connect and send, the clock is set, instructions are examined."""

from __future__ import annotations

import itertools
import math
from typing import Any, TypeVar

from nbactors.local.node.rules import events
from nbactors.local.node.rules.context import Facts
from nbactors.local.node.rules.gpus import Gpu
from nbactors.local.node.rules.state import NodeState
from nbactors.local.wire import messages

M = TypeVar("M")

ENVIRONMENT = messages.Environment(b"/usr/bin/python3", [b"-c", b""], [b"/lib"], b"/", {})


def open_session(**options: Any) -> messages.OpenSession:
    """Return a request for a session, with `rid` and what else differs from an ordinary one."""
    defaults: dict[str, Any] = {
        "namespace": "ns",
        "environment": ENVIRONMENT,
        "num_cpus": 2.0,
        "num_gpus": 0.0,
        "memory": -1.0,
        "object_store_memory": -1.0,
        "resources": {},
        "log_to_driver": True,
        "graceful_shutdown_s": 30.0,
    }
    return messages.OpenSession(**{**defaults, **options})


def create_actor(**options: Any) -> messages.CreateActor:
    """Return a request for an actor, with `actor_id` and what else differs from an ordinary one."""
    defaults: dict[str, Any] = {
        "rid": 0,
        "class_name": "Counter",
        "name": "",
        "namespace": "",
        "get_if_exists": False,
        "detached": False,
        "placement": {"CPU": 1.0},
        "resources": {},
        "runtime_env": None,
        "sys_path": [],
        "cwd": b"",
        "meta": b"meta",
    }
    return messages.CreateActor(**{**defaults, **options})


class Scenario:
    """One node, no process, no clock but `now`."""

    def __init__(
        self,
        gpus: int = 0,
        model: str = "",
        linger_s: float = 1.0,
        survivors: dict[str, int] | None = None,
        memory_threshold: float = 1.0,
        store_room: float = math.inf,
    ) -> None:
        self.now = 100.0
        self._ids = itertools.count(1 if survivors is None else 1000)
        self._conns = itertools.count(1)
        self._rids = itertools.count(1)
        facts = Facts(
            node_id=b"n" * 28,
            pid=1,
            hostname="here",
            directory="/run/nb",
            package_version="1.2.3",
            linger_s=linger_s,
            cpus=2.0,
            memory=1000.0,
            store_room=store_room,
            new_id=self.new_id,
            gpus=lambda: [Gpu(str(index), f"GPU-{index}", model) for index in range(gpus)],
            survivors=survivors or {},
            memory_threshold=memory_threshold,
        )
        self.state = NodeState(facts, self.now)
        self.done: list[events.Instruction] = []
        """Instructions that the test has not taken yet."""

    def new_id(self) -> bytes:
        return next(self._ids).to_bytes(16, "big")

    def rid(self) -> int:
        return next(self._rids)

    def happen(self, event: events.Event) -> None:
        self.done += self.state.handle(event, self.now)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, stopping wherever the node wants to act."""
        end = self.now + seconds
        while self.state.deadline is not None and self.state.deadline <= end:
            self.now = max(self.now, self.state.deadline)
            self.happen(events.Tick())
        self.now = end

    def take(self, kind: type[M]) -> list[M]:
        """Return the instructions of a kind, and forget them."""
        found = [instruction for instruction in self.done if isinstance(instruction, kind)]
        self.done = [instruction for instruction in self.done if not isinstance(instruction, kind)]
        return found

    def killed(self) -> list[bytes]:
        return [kill.process_id for kill in self.take(events.Kill)]

    def connect(self) -> int:
        conn = next(self._conns)
        self.happen(events.Connected(conn))
        return conn

    def session(self, **options: Any) -> Client:
        client = Client(self, self.new_id(), "session")
        client.send(open_session(rid=self.rid(), **options))
        client.opened = client.one(messages.SessionOpened)
        return client

    def command_line(self) -> Client:
        return Client(self, b"", "cli")

    def start_worker(self) -> Client:
        """Have the worker that was ordered last start and register."""
        spawn = self.take(events.Spawn)[-1]
        return self.come_alive(spawn)

    def come_alive(self, spawn: events.Spawn) -> Client:
        pid = 1000 + int.from_bytes(spawn.order.process_id, "big")
        self.happen(events.Forked(spawn.order.process_id, pid))
        return Client(self, spawn.order.process_id, "worker", pid)

    def end_worker(self, worker: Client, status: int = 0, tail: str = "") -> None:
        """End a worker's process, and report its exit and the end of its output."""
        worker.leave()
        self.happen(events.Exited(worker.process_id, status))
        self.happen(events.OutputEnded(worker.process_id, tail))


class Client:
    """A connected client."""

    def __init__(
        self,
        scenario: Scenario,
        process_id: bytes,
        role: str,
        pid: int = 77,
        returns: bool = False,
        is_spare: bool = False,
    ) -> None:
        self.scenario = scenario
        self.process_id = process_id
        self.pid = pid
        self.conn = scenario.connect()
        self.opened: Any = None
        self.send(messages.Hello(messages.PROTOCOL_VERSION, process_id, pid, role, "1.2.3", returns, is_spare))
        self.welcome = self.one(messages.Welcome)

    def send(self, message: messages.Message) -> None:
        self.scenario.happen(events.Received(self.conn, message))

    def leave(self) -> None:
        self.scenario.happen(events.Disconnected(self.conn))

    def got(self, kind: type[M]) -> list[M]:
        """Return the messages of a kind that were sent to this client, and forget them."""
        mine = [
            instruction
            for instruction in self.scenario.done
            if isinstance(instruction, events.Send)
            and instruction.conn == self.conn
            and isinstance(instruction.message, kind)
        ]
        self.scenario.done = [instruction for instruction in self.scenario.done if instruction not in mine]
        return [instruction.message for instruction in mine]  # type: ignore[misc]

    def one(self, kind: type[M]) -> M:
        """Return the only message of a kind."""
        (message,) = self.got(kind)
        return message

    def create(self, **options: Any) -> bytes:
        """Ask for an actor; return its id."""
        message = create_actor(**{"actor_id": self.scenario.new_id(), **options})
        self.send(message)
        return message.actor_id

    def create_alive(self, **options: Any) -> tuple[bytes, Client]:
        """Create an actor and let its constructor return."""
        actor_id = self.create(**options)
        worker = self.scenario.start_worker()
        worker.send(messages.ActorConstructed(actor_id))
        return actor_id, worker

    def request_lease(self, resources: dict[str, float] | None = None) -> int:
        rid = self.scenario.rid()
        wanted = {"CPU": 1.0} if resources is None else resources
        self.send(messages.RequestLease(rid, wanted, None, "f", [], b""))
        return rid

    def ask(self, what: str) -> messages.Listing:
        self.send(messages.Query(self.scenario.rid(), what))
        return self.one(messages.Listing)

    def states(self) -> list[str]:
        return [row.state for row in self.ask("actors").actors]
