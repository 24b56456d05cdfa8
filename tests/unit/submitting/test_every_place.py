"""An exception, a handler or a finalizer that waits, comes at one place after the other of the runtime's own code.

The same short story is told once for each place: a session makes calls, the node lends workers, and the workers answer.
At the end each call must have its result, and nothing may be left over. For the places see `places`.

Every `STEP`th place is tried here, and ten of a story at least; `scripts/stress-anywhere` tries all.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from members import Session, acting_as, settle, tied
from places import Event, Injected
from played_worker import PID, PlayedWorker

from nbactors.definitions.metadata import FunctionMeta
from nbactors.definitions.signature import ANYTHING
from nbactors.local.objects.object_life import PENDING
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.submitting import task_queue
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.wire import messages
from nbactors.options import CallOptions, TaskOptions

STEP = int(os.environ.get("NBACTORS_STRESS_STEP", "61"))
CALLS = 6
WAVES = 2
FEWEST = 20
"""Fewer places in a story would mean that the event comes nowhere. Few are left where steps are compiled: the collector
rests in most of these."""
TURNS = 12
"""How often each side gets its turn at the end: many times what a story without an event takes."""

_OPTIONS = TaskOptions()
_CALL_OPTIONS = CallOptions(max_task_retries=3)
CRASH = "it was killed by SIGSEGV."


WHAT = [
    "tasks",
    "tasks that come back",
    "tasks that are tried again",
    "tasks whose worker ends",
    "calls",
    "calls that are tried again",
    "calls whose worker ends",
]


def _is_of_worker(frame: FrameType | None) -> bool:
    """Return whether a played worker runs, which the session reaches by a call and not by a socket."""
    while frame is not None:
        if frame.f_code is PlayedWorker.arrive.__code__:
            return True
        frame = frame.f_back
    return False


class Story:
    """A session without a thread, two workers that the test plays, and the node between them."""

    def __init__(self, directory: Path, what: str) -> None:
        self.session = Session(directory, in_background=False)
        self.workers = [PlayedWorker(directory) for _ in range(2)]
        self._gives_back = what == "tasks that come back"
        self._raises = what.endswith("that are tried again")
        self._ends = what.endswith("whose worker ends")
        self._was_ended = False
        self._has_raised: set[int] = set()
        self._given_back: set[int] = set()
        self._lease_ids = itertools.count(1)
        self.lent: dict[int, PlayedWorker] = {}
        self.links: list[LocalActorLink] = []
        self.runs: Counter[int] = Counter()
        """How often each call has run, by its number."""
        self._to_be_told: list[Any] = []

    def play_node(self) -> None:
        """Lend workers, and take them back."""
        end = self.session.node_end
        arrived = end.arrived()
        for lost in [lost for lost in self._to_be_told if lost.process_id in self.session.tasks._dead]:
            end.tell(lost)  # not earlier: the session would look again when a timer is due
            self._to_be_told.remove(lost)
        for message in arrived:
            if type(message) is messages.ReturnLease:
                self.lent.pop(message.lease_id, None)
        withdrawn = {message.rid for message in arrived if type(message) is messages.CancelLease}
        for message in arrived:
            free = [worker for worker in self.workers if worker not in self.lent.values()]
            if type(message) is messages.RequestLease and message.rid not in withdrawn and free:
                lease_id = next(self._lease_ids)
                self.lent[lease_id] = free[0]
                end._arrived.remove(message)
                end.tell(messages.LeaseGranted(message.rid, lease_id, free[0].process_id, PID))

    def play_workers(self) -> None:
        """Answer all calls; the first time give those back that have come together with another one."""
        for worker in self.workers:
            settle(worker)
            calls = [message for message in worker.got if type(message) in (messages.Run, messages.Call)]
            worker.got = [message for message in worker.got if message not in calls]
            if self._gives_back:
                back = [call.number for call in calls[1:] if call.number not in self._given_back]
                self._given_back.update(back)
                if back:
                    worker.caller.send_now(messages.GivenBack(list(back)))
                calls = [call for call in calls if call.number not in back]
            for call in calls:
                self.runs[call.number] += 1
                if self._raises and call.number not in self._has_raised:
                    self._has_raised.add(call.number)
                    worker.raises(call, KeyError("again"), retriable=True)
                else:
                    worker.reply(call, call.number)
            settle(worker)

    def end_worker(self) -> None:
        """Have the first worker end before it has read all calls, and the node tell it."""
        worker, end = self.workers[0], self.session.node_end
        if not self._ends:
            return
        self._ends = False
        self._was_ended = True
        self.session.others.pop(worker.process_id)
        for connection in worker.peers.incoming():
            connection.close("the worker has died")
        end.tell(messages.ProcessGone(worker.process_id, CRASH))
        for link in self.links:
            end.tell(messages.ActorDown(link.actor_id, "crashed", CRASH, "", "", PID))
        for lease_id in [lease_id for lease_id, lent in self.lent.items() if lent is worker]:
            del self.lent[lease_id]
            self._to_be_told.append(messages.LeaseLost(lease_id, worker.process_id, CRASH))
        worker.leave()
        self.workers.remove(worker)

    def wait_in_handler(self) -> None:
        """Do what a handler does that waits, while all others get on."""
        for _ in range(2):
            self.play_node()
            self.play_workers()
            self.session.reactor.wait(Waiter(), 0)

    def tell(self, submit: Callable[[], Any], event: Event) -> list[Any]:
        """Tell the story; return the references that the calls have returned."""
        refs = []

        def do(action: Callable[[], Any]) -> Any:
            try:
                with event.may_come():
                    return action()
            except Injected:
                return None

        for _ in range(WAVES):
            refs += [do(submit) for _ in range(CALLS)]
            if self.lent or self.links:
                self.end_worker()
            for _ in range(3):
                do(self.session.reactor.visit)
                self.play_node()
                self.play_workers()
        for _ in range(TURNS):
            do(self.session.reactor.visit)
            self.play_node()
            self.play_workers()
        return [ref for ref in refs if ref is not None]

    def left_over(self, refs: list[Any]) -> list[str]:
        """Return what is wrong at the end of the story."""
        tasks = self.session.tasks
        found = [f"call {ref._entry.number} has no result" for ref in refs if ref._entry.state <= PENDING]
        found += [f"{call.number} is in flight" for call in self.session.pending_calls()]
        if not self._was_ended:
            often = 1 + self._raises
            found += [f"{number} ran {times} times" for number, times in self.runs.items() if times > often]
        if tasks.waiting or tasks.expected:
            found.append("a request for a worker is open")
        have = {process_id for queue in tasks._all_queues() for process_id in queue._leases}
        if have != {worker.process_id for worker in self.lent.values()}:
            found.append("the node has lent other workers than the session has")
        return found


def _tell(directory: Path, number: int, kind: str, what: str) -> tuple[Event, list[str]]:
    """Tell the story with the event at one place."""
    story = Story(directory, what)

    def throw() -> None:
        raise Injected

    act = throw if kind == "exception" else story.wait_in_handler
    event = Event(number, act, in_finalizer=kind == "finalizer", leaves_out=_is_of_worker)
    with tied(story.session, *story.workers), acting_as(story.session):
        if what.startswith("calls"):
            link: LocalActorLink = story.workers[0].become_actor(story.session)
            story.links.append(link)
            refs = story.tell(lambda: story.session.call(link, "method", options=_CALL_OPTIONS), event)
        else:
            work = FunctionMeta(lambda: None, "work", ANYTHING)
            refs = story.tell(lambda: story.session.tasks.submit(work, (), {}, _OPTIONS), event)
        return event, story.left_over(refs)


# An exception that comes just when a socket was made leaves it to Python, which closes it and warns.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(1200 // STEP + 60)
@pytest.mark.parametrize("kind", ["exception", "handler", "finalizer"])
@pytest.mark.parametrize("what", WHAT)
def test_nothing_is_lost_wherever_an_event_comes(
    what: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queue, "SHORT_S", 1000.0)  # tasks count as short, however slow this machine is
    before = gc.get_threshold()
    gc.disable()  # a place must mean the same each time
    try:
        _tell_at_all_places(tmp_path, kind, what)
    finally:
        gc.set_threshold(*before)
        gc.enable()


def _tell_at_all_places(tmp_path: Path, kind: str, what: str) -> None:
    whole, wrong = _tell(tmp_path, sys.maxsize, kind, what)
    assert not wrong, wrong
    assert whole.count > FEWEST
    for number in range(1, whole.count + 1, min(STEP, whole.count // 10)):
        gc.collect()
        event, wrong = _tell(tmp_path, number, kind, what)
        assert not wrong, f"{kind} at place {number} ({event.place}): {wrong}"
