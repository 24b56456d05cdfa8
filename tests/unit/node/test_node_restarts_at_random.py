"""Crashes, kills, endings and losses of sessions, workers and forkservers in any order: what holds all the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from node_scenario import Client, Scenario

from nbactors.local.node.rules import events
from nbactors.local.wire import messages

CPUS = 3.0


class Play:
    """A node, two sessions, their actors, and the workers, which do what the test draws.

    Attributes:
        ordered: The workers that were ordered and do not exist yet.
        workers: The workers that are connected, with their actors.
    """

    def __init__(self) -> None:
        self.node = Scenario()
        self.sessions = [self.node.session(num_cpus=CPUS) for _ in range(2)]
        self.ordered: list[events.Spawn] = []
        self.workers: list[tuple[Client, messages.Assign]] = []
        self.actors: dict[bytes, int] = {}
        self.restarts: dict[bytes, int] = {}

    def session(self, number: int) -> Client:
        return self.sessions[number % len(self.sessions)]

    def an_actor(self, number: int) -> bytes:
        return list(self.actors)[number % len(self.actors)] if self.actors else b"?" * 16

    def create(self, number: int) -> None:
        creator = self.session(number)
        if number % 5 == 0 and self.workers:
            creator = self.workers[number % len(self.workers)][0]
        max_restarts = (0, 1, 2, -1)[number % 4]
        actor_id = creator.create(resources={"CPU": 1.0}, max_restarts=max_restarts, detached=number % 3 == 0)
        self.actors[actor_id] = max_restarts

    def start(self, number: int) -> None:
        if self.ordered:
            spawn = self.ordered.pop(number % len(self.ordered))
            record = self.node.state._context.processes.get(spawn.order.process_id)
            if record is None or record.doomed:  # type: ignore[attr-defined]
                self.node.happen(events.Forked(spawn.order.process_id, 9))
                self.node.happen(events.Exited(spawn.order.process_id, -9))
                self.node.happen(events.OutputEnded(spawn.order.process_id, ""))
                return
            worker = self.node.come_alive(spawn)
            for assign in worker.got(messages.Assign):
                self.workers.append((worker, assign))
                limit = self.actors[assign.actor_id]
                assert assign.restarts >= self.restarts.get(assign.actor_id, 0)
                assert limit < 0 or assign.restarts <= limit
                self.restarts[assign.actor_id] = assign.restarts

    def fail_to_fork(self, number: int) -> None:
        if self.ordered:
            spawn = self.ordered.pop(number % len(self.ordered))
            self.node.happen(events.Forked(spawn.order.process_id, 0, "no memory"))

    def lose_the_forkserver(self, number: int) -> None:
        lost, self.ordered = self.ordered, []
        gone = [spawn.order.process_id for spawn in lost] + [worker.process_id for worker, _ in self.workers[:1]]
        self.node.happen(events.ForkserverLost(gone, "it is gone"))

    def construct(self, number: int) -> None:
        if self.workers:
            worker, assign = self.workers[number % len(self.workers)]
            worker.send(messages.ActorConstructed(assign.actor_id))

    def crash(self, number: int) -> None:
        if self.workers:
            worker, _ = self.workers.pop(number % len(self.workers))
            if number % 3 == 0:  # its exit is reported first
                self.node.happen(events.Exited(worker.process_id, -9))
            self.node.end_worker(worker, -9)

    def say_goodbye(self, number: int) -> None:
        if self.workers:
            worker, _ = self.workers[number % len(self.workers)]
            worker.send(messages.Ending(("crashed", "exit", "creation_failed")[number % 3], "the cause"))

    def kill(self, number: int) -> None:
        self.session(number).send(messages.KillActor(self.node.rid(), self.an_actor(number), number % 2 == 0))

    def hold(self, number: int) -> None:
        self.session(number).send(messages.AddHold(self.an_actor(number), self.session(number + 1).process_id, 1))

    def release(self, number: int) -> None:
        self.session(number).send(messages.ReleaseHold(self.an_actor(number), 1))

    def replace_session(self, number: int) -> None:
        index = number % len(self.sessions)
        self.sessions[index].leave()
        self.sessions[index] = self.node.session(num_cpus=CPUS)

    def wait(self, number: int) -> None:
        self.node.pass_time((0.1, 1.0, 5.0, 70.0)[number % 4])

    def look(self) -> None:
        """Note what the node has done, end what it has killed, and check what holds all the time."""
        node = self.node
        assert [note.text for note in node.take(events.Note) if "error" in note.text] == []
        for client in self.sessions:
            assert "internal" not in [down.kind for down in client.got(messages.ActorDown)]
            assert 0 <= client.ask("available_resources").amounts["CPU"] <= CPUS
        self.ordered += node.take(events.Spawn)
        for process_id in node.killed():
            self.workers = [each for each in self.workers if not self._end(each[0], process_id)]

    def _end(self, worker: Client, process_id: bytes) -> bool:
        if worker.process_id != process_id:
            return False
        self.node.end_worker(worker, -9)
        return True

    def end(self) -> None:
        """End all sessions, actors and workers; the node leaves."""
        for client in self.sessions:
            client.leave()
        self.sessions.clear()
        for actor_id in self.actors:
            self.node.command_line().send(messages.KillActor(self.node.rid(), actor_id, True))
        self.look()
        while self.ordered or self.workers:
            self.start(0)
            self.crash(1)
            self.look()
        self.node.pass_time(10.0)


ACTIONS: list[Callable[[Play, int], None]] = [
    *[Play.start] * 8,
    *[Play.crash] * 5,
    *[Play.create] * 3,
    *[Play.construct] * 3,
    *[Play.hold] * 2,
    Play.fail_to_fork,
    Play.lose_the_forkserver,
    Play.say_goodbye,
    Play.kill,
    Play.release,
    Play.replace_session,
    Play.wait,
]
"""What may happen. Most of it leads to restarts."""


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 59)), min_size=30, max_size=60))
def test_the_node_keeps_its_word_whatever_ends(steps: list[Any]) -> None:
    play = Play()
    play.create(2)
    play.look()
    play.start(0)
    for action, number in steps:
        action(play, number)
        play.look()
    play.end()
    assert play.node.state._context.workers() == []
    assert play.node.take(events.Leave)
