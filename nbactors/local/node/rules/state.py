"""`NodeState`: all rules as one state machine. It gets events and returns instructions.

Guarantees:

- A name belongs to at most one living actor. The name is free as soon as the actor is dead or told to end.
- Each holder of an actor is told once that the actor is up, and once that it is down, even a later holder.
- When a process is gone, all that only it needed ends: its handles, its actors that are not detached, its leases and
  requests; and then all that only these needed.
- When a session has ended, only its detached actors and what they own are left after `sessions.CLOSE_WITHIN_S`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from nbactors.byte_sizes import amount
from nbactors.limits import MAX_KINDS
from nbactors.local.node.rules import events, listing
from nbactors.local.node.rules.actors import ORPHAN_GRACE_S, Actors
from nbactors.local.node.rules.alarms import Alarm
from nbactors.local.node.rules.asks import Ask
from nbactors.local.node.rules.bars import Bars
from nbactors.local.node.rules.context import Context, Facts
from nbactors.local.node.rules.deaths import NODE_STOPPED
from nbactors.local.node.rules.grouping.groups import Groups
from nbactors.local.node.rules.leases import Leases
from nbactors.local.node.rules.memory.lending import Lending
from nbactors.local.node.rules.memory.monitor import MemoryMonitor
from nbactors.local.node.rules.metrics import own
from nbactors.local.node.rules.metrics.series import Series
from nbactors.local.node.rules.queue import Request
from nbactors.local.node.rules.records import NO_CONNECTION, Group, Process, Session, Worker
from nbactors.local.node.rules.recovering.recovery import Recovery
from nbactors.local.node.rules.recovering.restoring import Restoring
from nbactors.local.node.rules.sessions import Sessions
from nbactors.local.node.rules.tracing.followers import Tracing
from nbactors.local.node.rules.workers import Workers
from nbactors.local.wire import messages
from nbactors.local.wire.ids import PROCESS_ID_SIZE, socket_name

HELLO_WITHIN_S = 10.0
"""How long, in seconds, a connection may exist without a Hello."""

FIRST_LINGER_S = 5.0
"""How long, in seconds, a new node waits for the session that has started it."""

LOOK_AGAIN_S = 0.05
"""After how many seconds an idle node tries again to leave, if a process was connecting the last time."""

STOP_WITHIN_S = 4.5
"""How long, in seconds, `Stop` may wait for the workers to end."""

Handler = Callable[[Any, Any], None]
"""Handles a request (an `Ask`) and its message."""


class NodeState:
    """The node's records and rules. Used by one thread."""

    def __init__(self, facts: Facts, now: float) -> None:
        self._context = context = Context(facts)
        context.now = now
        self._clients: dict[int, Process] = {}
        self._without_hello: dict[int, Alarm] = {}
        self._stops: list[Ask] = []
        self._idle_turn = 0
        self._is_idle = True
        self._idle_alarm: Alarm | None = None
        self._waiting: dict[bytes, Session | Group] = {}
        """The sessions and placement groups with requests that wait for resources."""
        self._sessions = Sessions(context, self._end_session)
        self._workers = Workers(
            context,
            self._sessions.environments.facts,
            self._sessions.environments.spares.order,
            on_ready=self._worker_ready,
            on_lost=self._worker_lost,
            on_reported=self._worker_reported,
            on_removed=lambda worker: self._settle(worker.home),
        )
        self._tracing = tracing = Tracing(context)
        self._groups = Groups(context, self._queue_up, self._group_removed)
        find_group = self._groups.find
        self._actors = Actors(context, self._workers, self._doomed, self._queue_up, find_group, tracing.actor_changed)
        self._bars = Bars(context)
        self._lending = Lending(context, int(facts.store_limit))
        self._series = Series()
        self._memory = MemoryMonitor(context, self._workers)
        self._leases = Leases(context, self._workers, self._doomed, self._queue_up, find_group)
        self._restoring = Restoring(
            context,
            self._sessions,
            self._workers,
            self._actors,
            self._leases,
            self._groups,
            replace=self._clients.__setitem__,
            is_recovering=lambda: self._recovery.is_open,
        )
        self._recovery = Recovery(context, self._restoring.finish)
        self._reactions = self._table_of_events()
        self._handlers = self._table_of_messages()
        context.later(max(FIRST_LINGER_S, facts.linger_s), lambda: self._leave_if_idle(0))

    @property
    def deadline(self) -> float | None:
        """When a `Tick` is due at the latest; None if none is needed."""
        return self._context.alarms.deadline

    def handle(self, event: events.Event, now: float) -> list[events.Instruction]:
        """Handle an event, and return the instructions that it causes, in order."""
        context = self._context
        context.now = now
        # One by one, so that a failure in one step does not keep the others from running.
        with context.careful(type(event).__name__):
            if not (self._recovery.is_open and self._recovery.keeps(event, self._is_greeted(event))):
                self._reactions[type(event)](event)
        if not isinstance(event, (events.OutputRead, events.Displayed)):
            with context.careful("alarms"):
                context.alarms.ring(now)
            if self._recovery.is_open:
                self._recovery.end_if_complete(lambda event: self._reactions[type(event)](event))
                if self._recovery.is_open:
                    out, context.out = context.out, []
                    return out
            with context.careful("the ends of workers"):
                self._restoring.end_gone()
            with context.careful("the waiting requests"):
                self._pump()
            with context.careful("the check for idleness"):
                self._check_idle()
        out, context.out = context.out, []
        return out

    # ------------------------------------------------------------------------------------------------------- events

    def _table_of_events(self) -> dict[type, Callable[[Any], None]]:
        """Return the reaction to each kind of event."""
        return {
            events.OutputRead: self._output_read,
            events.Displayed: self._displayed,
            events.CaughtUp: lambda event: event.ask.done(),
            events.Received: self._received,
            events.Connected: self._connected,
            events.Disconnected: lambda event: self._disconnected(event.conn),
            events.Forked: self._workers.forked,
            events.Exited: self._workers.exited,
            events.Vanished: self._vanished,
            events.OutputEnded: self._workers.output_ended,
            events.SpareMade: self._spare_made,
            events.NotPreloaded: lambda event: self._sessions.not_preloaded(event.environment, event.reasons),
            events.ForkserverLost: lambda event: self._workers.orphan(event.workers, event.error),
            events.SocketsSeen: lambda event: self._restore_sockets(event.names),
            events.MemorySampled: self._memory.sampled,
            events.StopAsked: lambda _: self._stop(force=False),
            events.Tick: lambda _: None,
        }

    def _connected(self, event: events.Connected) -> None:
        dismissal = self._context.later(HELLO_WITHIN_S, lambda: self._close_without_hello(event.conn))
        self._without_hello[event.conn] = dismissal

    def _spare_made(self, event: events.SpareMade) -> None:
        environments = self._sessions.environments
        if environments.is_known(event.environment):
            environments.spares.note(event.environment, event.process_id)

    def _output_read(self, event: events.OutputRead) -> None:
        worker = self._context.processes.get(event.process_id)
        if not isinstance(worker, Worker):
            return
        session = self._shown_by(worker, event.origin)
        if session is not None and session.log_to_driver:
            actor_id = worker.actor.actor_id if worker.actor is not None else b""
            message = messages.Output(
                worker.pid, worker.label, event.stream, event.text, worker.process_id, event.origin, actor_id
            )
            self._context.send(session.driver, message)

    def _displayed(self, event: events.Displayed) -> None:
        worker, display = self._context.processes.get(event.process_id), event.display
        if not isinstance(worker, Worker):
            return
        session = self._shown_by(worker, display.origin)
        if session is not None and session.is_open:
            message = messages.Display(0, display.origin, display.content, display.action, worker.pid, worker.label)
            self._context.send(session.driver, message)
        event.ask.done()

    @staticmethod
    def _set_title(ask: Ask, message: messages.SetTitle) -> None:
        worker = ask.asker
        if isinstance(worker, Worker):
            worker.label = message.label
        ask.done()

    def _shown_by(self, worker: Worker, origin: int) -> Session | None:
        """Return the session that shows the output and the displays of a call of this origin."""
        if not origin:
            return worker.home
        # Other sessions than its creator's may call a detached actor. If such a session is gone, only the log has the
        # output.
        return self._context.sessions.get((origin >> 32).to_bytes(4, "little"))

    def _received(self, event: events.Received) -> None:
        conn, message = event.conn, event.message
        process = self._clients.get(conn)
        if process is None:
            may_speak = conn in self._without_hello or self._sessions.environments.spares.has(conn)
            if isinstance(message, messages.Hello) and may_speak:
                with self._context.careful("Hello", lambda why: self._refuse(conn, "internal", why)):
                    self._hello(conn, message)
            else:
                self._context.do(events.Close(conn))
        elif not process.lost:
            ask = Ask(self._context.send, process, message)
            with self._context.careful(type(message).__name__, ask.fail):
                serve = self._handlers[process.role].get(type(message))
                if serve is not None:
                    serve(ask, message)
                else:  # this kind of process never sends such a message: the process speaks another protocol
                    ask.withdraw()
                    self._context.do(events.Close(conn))

    def _table_of_messages(self) -> dict[str, dict[type, Handler]]:
        """Return the handlers of the messages that each role of process may send."""
        context, actors, leases = self._context, self._actors, self._leases
        of_clients: dict[type, Handler] = {
            messages.Query: self._answer_query,
            messages.FetchLog: lambda ask, asked: ask.answer(listing.logs(context, actors, asked)),
            messages.Stop: self._stop_asked,
            messages.KillActor: actors.kill,
            messages.Follow: self._tracing.follow,
            messages.ReplaceMeta: lambda _, message: actors.replace_meta(message),
        }
        of_members: dict[type, Handler] = {
            **of_clients,
            messages.AddHold: lambda ask, message: actors.add_hold(ask.asker, message),
            messages.ReleaseHold: lambda ask, message: actors.release_hold(ask.asker, message),
            messages.RequestLease: leases.request,
            messages.ReturnLease: lambda ask, message: leases.give_back(ask.asker, message),
            messages.CancelLease: lambda ask, message: leases.cancel(ask.asker, message),
            messages.CreateActor: actors.create,
            messages.GetActor: actors.get,
            messages.Watch: self._watch,
            messages.AskRoom: self._lending.lend,
            messages.StoreUse: self._lending.told,
            messages.CatchUp: lambda ask, _: self._catch_up(ask),
            messages.Metrics: lambda ask, message: self._series.report(ask.asker.process_id, message.points),
            messages.TaskReport: self._tracing.report,
            messages.OpenSession: self._sessions.open,
            messages.CloseSession: lambda ask, _: self._sessions.close(ask),
            messages.Rejoin: self._rejoin,
            messages.Created: self._restoring.created,
            messages.Leased: self._restoring.leased,
            messages.Restored: self._restoring.restored,
            messages.Grouped: self._restoring.grouped,
            messages.CreateGroup: self._groups.create,
            messages.RemoveGroup: self._groups.remove,
            messages.AwaitGroup: self._groups.wait,
        }
        of_workers: dict[type, Handler] = {
            **of_members,
            messages.Blocked: lambda ask, _: leases.block(ask.asker),
            messages.Unblocked: lambda ask, _: leases.unblock(ask.asker),
            messages.Spent: lambda ask, _: leases.spent(ask.asker),
            messages.Looked: lambda ask, message: leases.looked(ask.asker, message.has_changed),
            messages.SetTitle: self._set_title,
            messages.OutputPipes: lambda ask, message: context.do(
                events.AddPipes(ask.asker.process_id, ask.asker.conn, message.origin)
            ),
            messages.Display: self._read_before,
            messages.Paused: self._pass_to_session,
            messages.Bar: lambda ask, message: self._bars.report(ask.asker, message),
            messages.ActorConstructed: lambda ask, _: actors.constructed(ask.asker),
            messages.Ending: lambda ask, message: actors.ending(ask.asker, message),
        }
        return {"cli": of_clients, "session": of_members, "worker": of_workers}

    def _metrics_text(self, stores: list[messages.StoreRow]) -> str:
        own_lines = own.lines(self._context, self._actors, self._memory, self._tracing.tasks, stores)
        lines = [*own_lines, *self._series.lines()]
        return "".join(f"{line}\n" for line in lines)

    def _read_before(self, ask: Ask, display: messages.Display) -> None:
        """Have the output read that the worker has written before a display."""
        process_id = ask.asker.process_id
        self._context.do(events.ReadOutput(process_id, events.Displayed(process_id, display, ask)))

    def _catch_up(self, ask: Ask) -> None:
        """Have all output read whose place is in a session, and then answer it."""
        session = ask.asker.session
        readings: list[events.ReadOutput] = [
            events.ReadOutput(worker.process_id, None)
            for worker in self._context.workers()
            if worker.home is session or (worker.actor is not None and worker.actor.creation.detached)
        ]
        if readings:
            readings[-1] = events.ReadOutput(readings[-1].process_id, events.CaughtUp(ask))
        else:
            ask.done()
        for reading in readings:
            self._context.do(reading)

    def _pass_to_session(self, ask: Ask, paused: messages.Paused) -> None:
        """Tell a session that one of its calls waits for a debugger. Without a session the worker goes on by itself."""
        session = self._context.sessions.get((paused.origin >> 32).to_bytes(4, "little"))
        if session is not None and session.is_open:
            worker: Any = ask.asker
            full = msgspec.structs.replace(paused, pid=worker.pid, label=worker.label)
            self._context.send(session.driver, full)

    # ------------------------------------------------------------------------------------------------ coming, going

    def _hello(self, conn: int, hello: messages.Hello) -> None:
        known = self._context.processes.get(hello.process_id)
        facts = self._context.facts
        spares = self._sessions.environments.spares
        process: Process
        if hello.version != messages.PROTOCOL_VERSION:
            self._refuse(conn, "version", version_text(facts.package_version, hello))
            return
        if hello.returns and hello.role in ("session", "worker") and len(hello.process_id) == PROCESS_ID_SIZE:
            if known is not None and (known.conn != NO_CONNECTION or known.lost):
                self._refuse(conn, "runtime", "the node does not wait for this process.")
                return
            process = known or Process(process_id=hello.process_id, conn=conn, pid=hello.pid, role=hello.role)
            process.conn, process.pid, process.role = conn, hello.pid, hello.role
            self._context.processes[hello.process_id] = process
            self._recovery.greet(process)
        elif hello.role == "worker" and hello.is_spare and hello.process_id:
            spares.join(conn, hello.process_id)
            self._greet(conn)
            return
        elif hello.role == "worker":
            if not isinstance(known, Worker) or known.ready or known.doomed:
                self._refuse(conn, "runtime", "the node does not wait for this worker: it has to exit.")
                return
            process = known
        elif hello.role == "session" and len(hello.process_id) == PROCESS_ID_SIZE and known is None:
            process = Process(process_id=hello.process_id, conn=conn, pid=hello.pid, role="session")
            self._context.processes[hello.process_id] = process
        elif hello.role == "cli":
            process = Process(process_id=b"", conn=conn, pid=hello.pid, role="cli")
        else:
            text = f"no connection for role {hello.role!r} with process id {hello.process_id.hex()!r}: "
            self._refuse(conn, "value", text + "a session brings 16 bytes of its own, the command line none.")
            return
        self._clients[conn] = process
        if spares.take(conn):
            self._context.do(events.PlaceSocket(hello.process_id))
        else:
            self._greet(conn)
        if isinstance(process, Worker) and not hello.returns:
            self._workers.register(process, conn, hello.pid)

    def _greet(self, conn: int) -> None:
        facts = self._context.facts
        self._context.alarms.take_back(self._without_hello.pop(conn, None))
        welcome = messages.Welcome(messages.PROTOCOL_VERSION, facts.node_id, facts.pid, facts.package_version)
        self._context.do(events.Send(conn, welcome))

    def _is_greeted(self, event: events.Event) -> bool:
        return isinstance(event, events.Received | events.Disconnected) and event.conn in self._clients

    def _refuse(self, conn: int, kind: str, text: str) -> None:
        self._context.do(events.Send(conn, messages.Refused(0, kind, text)))
        self._context.do(events.Close(conn))

    def _close_without_hello(self, conn: int) -> None:
        if conn in self._without_hello:
            self._context.do(events.Close(conn))

    def _disconnected(self, conn: int) -> None:
        self._context.alarms.take_back(self._without_hello.pop(conn, None))
        process = self._clients.pop(conn, None)
        if process is None:
            self._sessions.environments.spares.leave(conn)
            return
        if process.lost:
            return
        if isinstance(process, Worker):
            self._workers.disconnected(process)
        elif process.role != "cli":
            self._lose(process)

    def _lose(self, process: Process) -> None:
        """Handle the end of a session, or of a process that has not told which it is."""
        process.conn = NO_CONNECTION
        process.lost = True
        self._context.processes.pop(process.process_id, None)
        self._context.do(events.RemoveSocket(process.process_id))
        self._gone(process, "session_ended")
        if process.session is not None:
            self._sessions.gone(process.session)

    def _vanished(self, event: events.Vanished) -> None:
        """Handle the end of a process that has survived a crashed node."""
        self._context.absent.pop(event.name, None)
        for process in list(self._context.processes.values()):
            if socket_name(process.process_id) == event.name:
                if isinstance(process, Worker):
                    self._workers.exited(events.Exited(process.process_id, None))
                elif process.conn == NO_CONNECTION:
                    self._lose(process)

    def _watch(self, ask: Ask, message: messages.Watch) -> None:
        watched = self._context.find(message.process_id)
        if watched is None or watched.lost:
            gone = messages.ProcessGone(message.process_id, "the process has ended, or never was")
            self._context.send(ask.asker, gone)
        else:
            watched.watchers.add(ask.asker.process_id)

    def _answer_query(self, ask: Ask, query: messages.Query) -> None:
        def answer(stores: list[messages.StoreRow]) -> None:
            ask.answer(
                listing.answer(
                    self._context,
                    self._actors,
                    ask.asker,
                    query,
                    stores,
                    self._bars.open,
                    self._metrics_text,
                    self._groups.rows,
                )
            )

        if query.what in listing.WITH_STORES:
            self._lending.list_for(ask.asker, answer)
        else:
            answer([])

    def _restore_sockets(self, names: frozenset[str]) -> None:
        """Tell the processes whose socket files were removed. Each has had one since before its Hello."""
        for process in self._context.processes.values():
            if process.conn != NO_CONNECTION and socket_name(process.process_id) not in names:
                self._context.send(process, messages.ListenAgain())

    def _gone(self, process: Process, kind: str) -> None:
        """A process is gone: tell its watchers, and end what depended on it."""
        self._series.forget(process.process_id)
        gone = messages.ProcessGone(process.process_id, f"the process (pid {process.pid}) has ended")
        for watcher in process.watchers:
            self._context.tell(watcher, gone)
        process.watchers.clear()
        self._lending.gone(process)
        self._groups.forget_process(process)
        self._tracing.process_gone(process)
        self._actors.end_children(process, kind)
        self._leases.end_of(process)
        self._actors.forget_holder(process)

    def _doomed(self, process: Process) -> None:
        self._actors.end_children(process, "owner_died")
        self._leases.end_of(process)

    def _end_session(self, session: Session) -> None:
        self._actors.end_children(session.driver, "session_ended")
        self._leases.end_of(session.driver)
        self._leases.end_idle(session)
        self._groups.end_of(session)

    def _settle(self, session: Session) -> None:
        """End what the last detached actor of a closed session has left, and forget the session if that is all."""
        if not session.is_open and not session.detached:
            self._leases.end_idle(session)
        self._sessions.settle(session)

    def _group_removed(self, group: Group) -> None:
        self._waiting.pop(group.creation.group_id, None)
        self._actors.end_group(group)
        self._leases.end_group(group, self._context.workers())
        self._settle(group.home)

    # ------------------------------------------------------------------------------------------------------ workers

    def _rejoin(self, ask: Ask, message: messages.Rejoin) -> None:
        self._restoring.rejoin(ask, message)
        if ask.asker.role == "worker":
            self._memory.start()

    def _worker_ready(self, worker: Worker) -> None:
        self._memory.start()
        if worker.actor is not None:
            self._actors.ready(worker, worker.actor)
        else:
            self._leases.ready(worker)

    def _worker_lost(self, worker: Worker) -> None:
        self._bars.end_of(worker)
        self._gone(worker, "owner_died")
        if worker.actor is not None:
            self._actors.lost(worker, worker.actor)
        else:
            self._leases.lost(worker)

    def _worker_reported(self, worker: Worker) -> None:
        if worker.actor is not None:
            self._actors.reported(worker, worker.actor)
        else:
            self._leases.reported(worker)
        self._settle(worker.home)

    # ---------------------------------------------------------------------------------------------------- resources

    def _queue_up(self, session: Session, request: Request, purpose: str, group: Group | None = None) -> None:
        if group is None:
            session.queue.add(request)
            self._waiting[session.job_id] = session
        else:
            group.queue.add(request)
            self._waiting[group.creation.group_id] = group
        shortage = request.pool.shortage(request.placement)
        if not shortage:
            return
        text = f"{purpose} {request.unmet}" if request.unmet else shortage_text(purpose, shortage)
        key = text.encode()
        if key not in session.warned and len(session.warned) < MAX_KINDS:
            session.warned.add(key)
            self._context.send(session.driver, messages.Warn(text))

    def _pump(self) -> None:
        """Grant requests of all sessions, because a session may wait for GPUs that another one has given back."""
        for key, session in list(self._waiting.items()):
            if session.queue:
                wake_at = session.queue.pump(self._context.now)
                if wake_at is not None and wake_at != session.wake_at:
                    self._context.alarms.set(wake_at, lambda: None)
                session.wake_at = wake_at
            if not session.queue:
                del self._waiting[key]

    # ------------------------------------------------------------------------------------------------------- leaving

    def _check_idle(self) -> None:
        """Check whether the node is idle, or has stopped."""
        if self._context.stopping:
            if not any(isinstance(process, Worker) for process in self._context.processes.values()):
                self._stopped()
            return
        if self._sessions.has_lost_owner():
            self._stop(force=False)
            return
        is_idle = self._is_unneeded()
        if is_idle and not self._is_idle:
            self._idle_turn += 1
            turn = self._idle_turn
            self._context.alarms.take_back(self._idle_alarm)
            self._idle_alarm = self._context.later(self._context.facts.linger_s, lambda: self._leave_if_idle(turn))
        elif not is_idle:
            self._idle_turn += self._is_idle
        self._is_idle = is_idle

    def _is_unneeded(self) -> bool:
        # Clients that only ask (the command line, a connection without a Hello) do not keep the node.
        return not (self._context.sessions or self._context.processes or self._context.absent)

    def _leave_if_idle(self, turn: int) -> None:
        # Checked again, because this may run in the very event that ends the idleness. By the result of the last check,
        # the node would leave just after it has opened a session whose Hello came with the alarm.
        if not self._is_unneeded() or turn != self._idle_turn:
            return
        if not self._without_hello:
            self._context.do(events.Leave(final=False))
        # If a process is connecting now, the node stays until that process has sent its first message.
        self._context.later(LOOK_AGAIN_S, lambda: self._leave_if_idle(turn))

    def _stop_asked(self, ask: Ask, message: messages.Stop) -> None:
        self._stops.append(ask)
        self._stop(message.force)

    def _stop(self, force: bool) -> None:
        self._context.stopping = True
        for actor in list(self._actors.table):
            if force:
                self._actors.discard(actor, "node_stopped", NODE_STOPPED)
            else:
                self._actors.end(actor, "node_stopped", NODE_STOPPED, ORPHAN_GRACE_S)
        for worker in self._context.workers():
            if force or worker.actor is None:
                self._workers.kill(worker)
        self._context.later(STOP_WITHIN_S, self._stopped)

    def _stopped(self) -> None:
        while self._stops:
            self._stops.pop().done()
        for process in self._context.processes.values():
            self._context.send(process, messages.NodeStopped(NODE_STOPPED))
        self._context.do(events.Leave(final=True))


def version_text(own_version: str, hello: messages.Hello) -> str:
    """Return the text for a process that speaks another version of the protocol."""
    return (
        f"the node that runs is nbactors {own_version} (protocol {messages.PROTOCOL_VERSION}), and this process has "
        f"nbactors {hello.package_version} (protocol {hello.version}): they do not understand each other. Restart "
        "the one that began before nbactors was installed anew: this program, or the node, which `nbactors stop` ends "
        "with all that runs on it."
    )


def shortage_text(purpose: str, shortage: dict[str, tuple[float, float]]) -> str:
    """Return the text for the user about a request that can never be met."""
    lacking = ", ".join(
        f"{name}: {amount(name, asked)} asked for, {amount(name, total)} in all"
        for name, (asked, total) in shortage.items()
    )
    return (
        f"{purpose} waits for resources that this session does not have ({lacking}). It will wait until the session "
        "ends: ask for less in its options, or declare more in init(num_cpus=, num_gpus=, resources=)."
    )
