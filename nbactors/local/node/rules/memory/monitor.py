"""`MemoryMonitor`: asks for samples, and ends a worker when too much memory is in use."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from nbactors import byte_sizes
from nbactors.local.node.rules import events
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.memory.choosing import Candidate, choose
from nbactors.local.node.rules.records import Worker
from nbactors.local.node.rules.workers import Workers
from nbactors.local.wire import messages

CALM_S = 1.0
"""Seconds between two samples where `CLOSE` of the memory is left up to the threshold; more where more is left."""

FAR_S = 3.0
"""Seconds between two samples at most: a sample wakes the node up, which takes a millisecond."""

TENSE_S = 0.1
"""Seconds between two samples close to the threshold."""

CLOSE = 0.1
"""The share of the memory below the threshold in which workers are sampled each time."""

WORKERS_S = 10.0
"""Seconds between two samples of the workers far below the threshold."""

POINT_S = 5.0
"""Seconds between two sizes of a worker that are kept."""

POINTS = 8
"""The most sizes of a worker that are kept: growth is counted from the oldest one."""

GONE_S = 2.0
"""Seconds to wait for the end of a chosen process before another one is chosen."""

LISTED = 10
"""The most workers that an error tells of."""

OUT_OF_MEMORY = "out_of_memory"


class MemoryMonitor:
    """Watches the memory while there are workers.

    Args:
        context: Has the records.
        workers: Kills the chosen worker.
    """

    def __init__(self, context: Context, workers: Workers) -> None:
        self._context = context
        self._workers = workers
        self._runs = False
        self._sampled_at = 0.0
        self._sizes: dict[bytes, deque[tuple[float, int]]] = {}
        self._chosen: Worker | None = None
        self._chosen_at = 0.0
        self.latest: tuple[int, int] = (0, 0)
        """The bytes in use and the bytes in all of the latest sample."""

    def start(self) -> None:
        """Begin to sample, since there is a worker."""
        if not self._runs and self._context.facts.memory_threshold < 1:
            self._runs = True
            self._ask(CALM_S, with_workers=False)

    def used_by(self, worker: Worker) -> int:
        """Return the bytes of a worker in its latest sample, 0 before the first one."""
        points = self._sizes.get(worker.process_id)
        return points[-1][1] if points else 0

    def sampled(self, event: events.MemorySampled) -> None:
        """Handle a sample, and ask for the next one."""
        self.latest = event.used, event.total
        self._note(event.processes)
        if not self._living():
            self._runs = False
            self._sizes.clear()
            return
        threshold = self._context.facts.memory_threshold * event.total
        close = CLOSE * event.total
        room = threshold - event.used
        if room < 0 and not self._awaits_end():
            if not event.processes:
                self._ask(0.0, with_workers=True)
                return
            self._end_one(event)
        is_due = self._context.now - self._sampled_at >= WORKERS_S
        self._ask(min(max(CALM_S * room / close, TENSE_S), FAR_S), with_workers=room < close or is_due)

    def _ask(self, delay_s: float, *, with_workers: bool) -> None:
        def ask() -> None:
            pids: dict[bytes, int] = {}
            if with_workers:
                self._sampled_at = self._context.now
                pids = {worker.process_id: worker.pid for worker in self._living()}
                for session in self._context.sessions.values():
                    if session.is_open:
                        pids[session.driver.process_id] = session.driver.pid
            self._context.do(events.SampleMemory(pids))

        self._context.later(delay_s, ask)

    def _living(self) -> list[Worker]:
        return [worker for worker in self._context.workers() if worker.ready and not worker.lost]

    def _note(self, processes: dict[bytes, int]) -> None:
        if not processes:
            return
        now = self._context.now
        for process_id in [known for known in self._sizes if known not in processes]:
            del self._sizes[process_id]
        for process_id, used in processes.items():
            # A new process has grown by all that it uses. The last point moves until it is `POINT_S` after the one
            # before it, so that the kept points cover the same time however often samples are taken.
            points = self._sizes.setdefault(process_id, deque([(now, 0)], POINTS))
            if len(points) > 1 and points[-1][0] - points[-2][0] < POINT_S:
                points.pop()
            points.append((now, used))

    def _growth(self, process_id: bytes) -> tuple[int, float]:
        points = self._sizes[process_id]
        (since, first), (until, last) = points[0], points[-1]
        return last - first, until - since

    def _awaits_end(self) -> bool:
        chosen = self._chosen
        if chosen is None or chosen.exit_known or self._context.now - self._chosen_at > GONE_S:
            self._chosen = None
            return False
        return True

    def _end_one(self, event: events.MemorySampled) -> None:
        known = {worker.process_id: worker for worker in self._living() if worker.process_id in event.processes}
        free = [worker for worker in known.values() if worker.ending is None and not worker.doomed]
        found = choose([candidate for worker in free if (candidate := self._candidate(worker)) is not None])
        if found is None:
            return
        candidate, why = found
        worker = self._chosen = known[candidate.process_id]
        self._chosen_at = self._context.now
        label = worker.actor.creation.class_name if worker.actor is not None else worker.label
        text = (
            f"the node has ended its process ({label}, pid {worker.pid}, {byte_sizes.shown(candidate.used)}), since "
            f"{why}, and the memory was nearly full: {byte_sizes.shown(event.used)} of {byte_sizes.shown(event.total)} "
            f"in use, above the threshold of {self._context.facts.memory_threshold:.0%} (NBACTORS_MEMORY_THRESHOLD). "
            f"Memory by process: {'; '.join(self._listed(event, known.values()))}."
        )
        worker.ending = messages.Ending(OUT_OF_MEMORY, text)
        self._workers.kill(worker)
        if self._is_tried_again(worker):  # otherwise the error tells it
            self._context.send(worker.home.driver, messages.Warn(text))

    @staticmethod
    def _is_tried_again(worker: Worker) -> bool:
        if worker.actor is not None:
            return worker.actor.creation.max_restarts != 0
        return worker.lease is not None and worker.lease.asked.is_retriable

    def _candidate(self, worker: Worker) -> Candidate | None:
        used, (growth, _) = self.used_by(worker), self._growth(worker.process_id)
        if worker.actor is not None:
            return Candidate(worker.process_id, used, growth, is_detached=worker.actor.creation.detached)
        if worker.lease is None or not worker.lease.granted:
            return None
        lease = worker.lease
        return Candidate(worker.process_id, used, growth, lease.lease_id, lease.asked.is_retriable)

    def _listed(self, event: events.MemorySampled, workers: Iterable[Worker]) -> list[str]:
        ordered = sorted(workers, key=self.used_by, reverse=True)
        lines = []
        for worker in ordered[:LISTED]:
            growth, seconds = self._growth(worker.process_id)
            label = worker.actor.creation.class_name if worker.actor is not None else f"task {worker.label}"
            grown = f", {byte_sizes.shown(growth)} more than {seconds:.0f} s before" if growth > 0 and seconds else ""
            lines.append(f"{label} (pid {worker.pid}) {byte_sizes.shown(self.used_by(worker))}{grown}")
        if len(ordered) > LISTED:
            rest = sum(map(self.used_by, ordered[LISTED:]))
            lines.append(f"{len(ordered) - LISTED} more workers {byte_sizes.shown(rest)}")
        for session in self._context.sessions.values():
            used = event.processes.get(session.driver.process_id)
            if used is not None:
                lines.append(f"session (pid {session.driver.pid}) {byte_sizes.shown(used)}")
        return lines
