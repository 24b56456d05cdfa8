"""Sessions: opening, closing, and the environments that their workers share."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import msgspec

from nbactors.local.node.rules.alarms import Alarm
from nbactors.local.node.rules.asks import Ask
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.events import CloseForkserver, OpenForkserver
from nbactors.local.node.rules.forking.environments import Environments
from nbactors.local.node.rules.gpus import Gpu, GpuBank, session_gpus
from nbactors.local.node.rules.lifecycle import State
from nbactors.local.node.rules.queue import PlacementQueue
from nbactors.local.node.rules.records import NO_CONNECTION, Process, Session, Worker
from nbactors.local.node.rules.resources import Pool
from nbactors.local.wire import messages, os_bytes

CLOSE_WITHIN_S = 4.0
"""How long, in seconds, the end of a session may wait for its workers to end."""

ACCELERATOR_LABEL = "ray.io/accelerator-type"


class Sessions:
    """All sessions.

    Args:
        end: Called with a session that is closed, to end everything that depends on it.
    """

    def __init__(self, context: Context, end: Callable[[Session], None]) -> None:
        self.environments = Environments(context)
        self._context = context
        self._end = end
        self._bank = GpuBank()
        self._detected: list[Gpu] | None = None
        self._last_job = 0
        self._owner: Session | None = None
        self._spare = 0
        self._spare_alarm: Alarm | None = None

    def open(self, ask: Ask, asked: messages.OpenSession) -> None:
        """Open a session."""
        driver = ask.asker
        if self._context.stopping:
            ask.refuse("runtime", "the node is stopping (`nbactors stop`): try again when it has stopped.")
            return
        if driver.role != "session" or driver.session is not None:
            ask.refuse("runtime", "this process has opened its session already: call shutdown() first.")
            return
        try:
            pool = self._pool(asked)
        except ValueError as error:
            ask.refuse("value", str(error))
            return
        if kind := self._kind(pool.gpu_ids):
            asked = msgspec.structs.replace(asked, labels={ACCELERATOR_LABEL: kind, **asked.labels})
        namespace = asked.namespace or str(uuid.UUID(bytes=self._context.facts.new_id(), version=4))
        asked = msgspec.structs.replace(asked, rid=0, namespace=namespace)
        job_id = (self._last_job + 1).to_bytes(4, "little")
        session = self._add(messages.Home(job_id, driver.process_id, driver.pid, asked), driver, pool)
        gpus = [gpu.index for gpu in self._detected or []]
        ask.answer(messages.SessionOpened(ask.rid, session.job_id, namespace, gpus, asked.labels))
        if text := self.environments.warnings.get(session.environment):
            self._context.send(driver, messages.Warn(text))
        # The forkserver starts now, so that it is ready when the first actor is created.
        self._context.do(OpenForkserver(session.environment, asked.environment))

    def not_preloaded(self, number: int, reasons: dict[str, str]) -> None:
        """Warn the sessions of an environment, and those that join it later, of modules that were not imported."""
        found = "; ".join(f"{name} ({why})" for name, why in reasons.items())
        text = f"modules of init(preload=[...]) are not preloaded, and each worker that needs one imports it: {found}"
        if self.environments.warnings.get(number) == text:  # another forkserver of the same environment
            return
        self.environments.warnings[number] = text
        for session in self._context.sessions.values():
            if session.environment == number and session.is_open:
                self._context.send(session.driver, messages.Warn(text))

    def restore(self, home: messages.Home) -> Session:
        """Return the session of a process that has returned from a crashed node."""
        known = self._context.sessions.get(home.job_id)
        if known is not None:
            return known
        driver = self._context.find(home.driver)
        if driver is None:
            driver = Process(process_id=home.driver, conn=NO_CONNECTION, pid=home.driver_pid, role="", lost=True)
        driver.role = "session"
        return self._add(home, driver, self._pool(home.opened))

    def _add(self, home: messages.Home, driver: Process, pool: Pool) -> Session:
        opened = home.opened
        plain = msgspec.structs.replace(opened.environment, preload=[])
        session = Session(
            job_id=home.job_id,
            driver=driver,
            namespace=opened.namespace,
            environment=self.environments.number(opened.environment),
            plain=self.environments.number(plain),
            pool=pool,
            queue=PlacementQueue(),
            log_to_driver=opened.log_to_driver,
            graceful_shutdown_s=opened.graceful_shutdown_s,
            opened=opened,
        )
        self.environments.use(session.environment)
        self.environments.use(session.plain)
        driver.session = session
        self._context.sessions[session.job_id] = session
        if opened.owns_node:
            self._owner = session
        self._last_job = max(self._last_job, int.from_bytes(session.job_id, "little"))
        return session

    def close(self, ask: Ask) -> None:
        """Close a session. The driver is answered when its workers have ended."""
        session = ask.asker.session
        if session is None or ask.asker.role != "session":
            ask.done()
            return
        session.closing.append(ask)
        self._shut(session)
        session.alarm = self._context.later(CLOSE_WITHIN_S, lambda: self._closed(session))
        self.settle(session)

    def gone(self, session: Session) -> None:
        """Close a session whose driver is gone."""
        self._shut(session)
        self.settle(session)

    def has_lost_owner(self) -> bool:
        """Return whether the node was for one session alone, which has ended."""
        owner = self._owner
        return owner is not None and not owner.is_open and owner.driver.lost

    def settle(self, session: Session) -> None:
        """Finish the closing of a session whose workers have ended, and forget the session if nothing is left of it."""
        if session.is_open:
            return
        if session.closing and not any(_is_leaving(worker) for worker in session.workers.values()):
            self._closed(session)
        if session.workers or session.detached or not session.driver.lost:
            return
        if self._context.sessions.pop(session.job_id, None) is not None:
            self.environments.release(session.environment)
            self.environments.release(session.plain)
            if session.plain != session.environment:
                self._release_environment(session.plain)
            if not self.environments.is_used(session.environment):
                self._spare_environment(session.environment)

    def _spare_environment(self, number: int) -> None:
        """Keep an unused environment for a while, so that the next session starts fast. Only one is kept."""
        former, self._spare = self._spare, number
        if former and former != number:
            self._release_environment(former)
        alarms = self._context.alarms
        alarms.take_back(self._spare_alarm)
        self._spare_alarm = self._context.later(self._context.facts.linger_s, lambda: self._release_environment(number))

    def _closed(self, session: Session) -> None:
        self._context.alarms.take_back(session.alarm)
        while session.closing:
            session.closing.pop().done()

    def _shut(self, session: Session) -> None:
        if session.is_open:
            session.is_open = False
            self._end(session)

    def _release_environment(self, number: int) -> None:
        if number == self._spare:
            self._spare = 0
        if not self.environments.is_used(number):
            self.environments.forget(number)
            self._context.do(CloseForkserver(number))

    def _kind(self, gpu_ids: list[str]) -> str:
        """Return the kind of the machine's GPUs, if a session has some; empty if it is not known."""
        return self._detected[0].kind if self._detected and gpu_ids else ""

    def _pool(self, asked: messages.OpenSession) -> Pool:
        facts = self._context.facts
        if self._detected is None and asked.num_gpus != 0:
            self._detected = facts.gpus()
        visible = asked.environment.environ.get(b"CUDA_VISIBLE_DEVICES")
        names = None if visible is None else os_bytes.decode(visible)
        gpus = session_gpus(self._bank, self._detected or [], names, asked.num_gpus)
        totals = {
            "CPU": asked.num_cpus if asked.num_cpus >= 0 else facts.cpus,
            "memory": asked.memory if asked.memory >= 0 else facts.memory_for_actors,
            "object_store_memory": asked.object_store_memory if asked.object_store_memory >= 0 else facts.store_limit,
            "node:127.0.0.1": 1.0,
            "node:__internal_head__": 1.0,
            **({f"accelerator_type:{kind}": 1.0} if (kind := self._kind(gpus.ids)) else {}),
            **asked.resources,
        }
        return Pool(totals, gpus)


def _is_leaving(worker: Worker) -> bool:
    """Return whether a worker has ended, or is about to end."""
    if worker.doomed or worker.lost:
        return True
    return worker.actor is not None and worker.actor.state in (State.ENDING, State.DYING, State.DEAD)
