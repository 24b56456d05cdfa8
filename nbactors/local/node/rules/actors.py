"""The rules of actors: creating, naming, holding, placing, ending.

An actor that is told to end is dead for all other processes at once, although its process may still finish its queued
calls: its name is free and its holders are told. An actor that ends by itself (`exit_actor`, a crash) is different: its
holders are told only after its process has closed its connections, so that results that it sent arrive first.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec

from nbactors.local.node.rules import deaths, holders
from nbactors.local.node.rules.actor_table import ActorTable
from nbactors.local.node.rules.asks import Ask
from nbactors.local.node.rules.context import Context
from nbactors.local.node.rules.events import RemoveLog, RemoveRestartFiles
from nbactors.local.node.rules.grouping import node_labels
from nbactors.local.node.rules.lifecycle import Cause, State, follow
from nbactors.local.node.rules.names import Names, missing
from nbactors.local.node.rules.queue import PlacementQueue, Request, too_much
from nbactors.local.node.rules.records import Actor, Group, Process, Session, Worker, source
from nbactors.local.node.rules.resources import Allocation, Units, to_units
from nbactors.local.node.rules.workers import EXIT_WITHIN_S, Workers
from nbactors.local.wire import messages

ORPHAN_GRACE_S = 3.0
"""How long, in seconds, an actor may take to end after its creator or session is gone. All must be over within 5 s."""

REMOVED_GROUP = "its placement group was removed."
UNKNOWN_GROUP = (
    "there is no such placement group: it was removed, or its session has ended, or the node has crashed when nothing "
    "ran in it and its creator had ended."
)


class Actors:
    """All actors.

    Args:
        on_doomed: Called with a worker that is certain to end, so that whatever depends on it can end at the same time.
        queue_up: Called with (session, request, purpose, group) to queue a request for resources.
        find_group: Called with a place in a placement group; returns the group, None if there is none.
        on_changed: Called with an actor that is in another state than before.
    """

    def __init__(
        self,
        context: Context,
        workers: Workers,
        on_doomed: Callable[[Process], None],
        queue_up: Callable[[Session, Request, str, Group | None], None],
        find_group: Callable[[messages.Seat | None], Group | None],
        on_changed: Callable[[Actor], None],
    ) -> None:
        self.table = ActorTable()
        self.names = Names()
        self._early = holders.EarlyCounts(context)
        self._context = context
        self._workers = workers
        self._on_doomed = on_doomed
        self._queue_up = queue_up
        self._find_group = find_group
        self._on_changed = on_changed

    # --------------------------------------------------------------------------------------------- what clients ask

    def create(self, ask: Ask, asked: messages.CreateActor) -> None:
        """Queue an actor for its resources, or find the actor with that name."""
        creator = ask.asker
        session = creator.session
        if self._is_known(ask, asked):
            return
        if session is None or self._may_not_create(creator, asked):
            ask.refuse("runtime", self._why_not(creator, asked))
            return
        namespace = asked.namespace or session.namespace
        if asked.name and self._is_settled_by_name(ask, asked, namespace):
            return
        resources = to_units(asked.resources)
        placement = _placement(asked, resources)
        group = self._find_group(asked.seat)
        why = too_much(len(creator.children), *source(session, group, asked.seat), placement, resources)
        if why:
            ask.refuse("runtime", f"it was not created: {why}")
            return
        actor = self._add(asked, namespace, session, creator.process_id, creator.pid)
        holders.add(self._context, actor, creator, 1)
        self._early.pass_on(actor)
        if asked.seat is not None and group is None:
            self.discard(actor, "group_removed", UNKNOWN_GROUP)
        else:
            with self._careful(actor, "the queueing of an actor"):
                self._wait(actor)
        # All holders are told when the actor is up or down; the creator is the first holder.
        if asked.rid:
            ask.answer(messages.ActorNamed(asked.rid, actor.actor_id, True, b""))
        else:
            ask.withdraw()

    def _is_known(self, ask: Ask, asked: messages.CreateActor) -> bool:
        """Answer a request that has come before: from a creator that has returned from a crashed node."""
        actor = self.table.find(asked.actor_id)
        if actor is None or actor.owner != ask.asker.process_id:
            return False
        if actor.owner not in actor.holders and actor.down is None:
            holders.add(self._context, actor, ask.asker, 1)
        if asked.rid:
            ask.answer(messages.ActorNamed(asked.rid, actor.actor_id, True, b""))
        else:
            ask.withdraw()
        return True

    def _add(self, asked: messages.CreateActor, namespace: str, home: Session, owner: bytes, owner_pid: int) -> Actor:
        """Make the record of an actor, and give the actor its name if that is free."""
        actor = Actor(
            creation=asked,
            namespace=namespace,
            home=home,
            owner=owner,
            owner_pid=owner_pid,
            resources=to_units(asked.resources),
            group=self._find_group(asked.seat),
        )
        self.table.add(actor)
        creator = home.driver if owner == home.driver.process_id else self._context.find(owner)
        if creator is not None:
            creator.children.add(actor.actor_id)
        if asked.detached:
            home.detached.add(actor.actor_id)
        if asked.name and self.names.find(namespace, asked.name) is None:
            self.names.claim(namespace, asked.name, actor.actor_id)
        self._on_changed(actor)
        return actor

    # --------------------------------------------------------------------------------------- after a crash of a node

    def restore(self, worker: Worker, assign: messages.Assign, constructed: bool) -> None:
        """Restore an actor whose worker has returned."""
        asked = assign.asked
        assert isinstance(asked, messages.CreateActor), "an actor's assignment has its request"
        actor = self.table.find(assign.actor_id)
        if actor is None:
            actor = self._add(asked, assign.namespace, worker.home, assign.owner, assign.owner_pid)
            self._early.pass_on(actor)
        elif actor.state is State.DEAD or (actor.worker is not None and actor.worker is not worker):
            self._workers.kill(worker)  # it was killed, or another worker has become the actor
            return
        actor.creation, actor.restarts = asked, assign.restarts
        self._occupy(actor, worker, assign.gpu_ids, State.ALIVE if constructed else State.CONSTRUCTING)

    def restore_by_creator(
        self, creator: Process, asked: messages.CreateActor, restarts: int, worker: Worker | None, is_up: bool
    ) -> None:
        """Restore an actor by what its creator knows.

        Args:
            creator: The creator, which has returned.
            asked: Its request for the actor.
            restarts: How often the actor was restarted.
            worker: Its worker, which has not returned; None if it was not up.
            is_up: Whether the worker lives.
        """
        assert creator.session is not None, "the creator has a session"
        home = creator.session
        actor = self._add(asked, asked.namespace or home.namespace, home, creator.process_id, creator.pid)
        actor.restarts = restarts
        self._early.pass_on(actor)
        if worker is not None:
            self._occupy(actor, worker, [], State.ALIVE, is_up)
        else:
            with self._careful(actor, "the queueing of an actor"):
                self._wait(actor)

    def _occupy(self, actor: Actor, worker: Worker, gpu_ids: list[str], state: State, is_up: bool = True) -> None:
        """Note that a worker is the actor already, whatever was known before."""
        if actor.request is not None:
            _queue_of(actor).withdraw(actor.request)
            actor.request = None
        if actor.allocation is not None:
            actor.allocation.release()
        actor.allocation = source(actor.home, actor.group, actor.creation.seat)[1].seize(actor.resources, gpu_ids)
        actor.worker, worker.actor = worker, actor
        if actor.state is not State.ENDING:
            actor.state = state
        actor.pid = worker.pid
        self._on_changed(actor)
        if is_up:
            actor.process_id = worker.process_id
            holders.tell_up(self._context, actor)

    def end_group(self, group: Group) -> None:
        """End the actors of a placement group that was removed."""
        for actor in list(self.table):
            if actor.group is group and actor.down is None:
                self.discard(actor, "group_removed", REMOVED_GROUP)

    def judge_scope(self) -> None:
        """End the actors without holders."""
        for actor in list(self.table):
            if not actor.holders and actor.down is None:
                self._out_of_scope(actor)

    def get(self, ask: Ask, asked: messages.GetActor) -> None:
        """Find a named actor."""
        asker = ask.asker
        namespace = asked.namespace or (asker.session.namespace if asker.session else "")
        actor_id = self.names.find(namespace, asked.name)
        if actor_id is None:
            ask.refuse("value", missing(asked.name))
        else:
            self._answer_named(ask, actor_id, asked.weak)

    def add_hold(self, asker: Process, message: messages.AddHold) -> None:
        """Count handles that are on their way to a process."""
        process = self._context.find(message.process_id)
        if process is None or process.lost:
            return
        actor = self.table.find(message.actor_id)
        if actor is None:
            if message.tokens:
                self._early.keep(message)
        elif not message.tokens:
            holders.tell(self._context, actor, process)
        elif holders.add(self._context, actor, process, message.tokens, asks=process is asker, weak=message.weak):
            self._out_of_scope(actor)

    def release_hold(self, process: Process, message: messages.ReleaseHold) -> None:
        """Take back the tokens of a process that has no handle any more."""
        actor = self.table.find(message.actor_id)
        if actor is not None:
            if holders.release(actor, process, message.tokens, message.weak):
                self._out_of_scope(actor)
        else:
            # The handle may have come and gone before the node has read its sender's messages: first the creation, then
            # the count. Forgotten here, the tokens that this gives back would keep the actor for ever.
            early = messages.AddHold(message.actor_id, process.process_id, -message.tokens, message.weak)
            self._early.keep(early)

    def kill(self, ask: Ask, asked: messages.KillActor) -> None:
        """End an actor at once, for `ray.kill`, or let it restart. Killing a dead actor does nothing."""
        actor = self.table.find(asked.actor_id)
        if actor is not None:
            if asked.no_restart or not self._has_restart(actor):
                self.discard(actor, "killed", deaths.KILLED)
            elif actor.worker is not None and actor.worker.ready:
                self._workers.kill(actor.worker)  # before that it is on its way to a fresh process already
        ask.done()

    def replace_meta(self, message: messages.ReplaceMeta) -> None:
        """Replace the metadata of an actor whose class was changed."""
        actor = self.table.find(message.actor_id)
        if actor is not None and actor.creation.meta:
            actor.creation = msgspec.structs.replace(actor.creation, meta=message.meta)
            if actor.worker is not None:
                self._context.send(actor.worker, message)

    # -------------------------------------------------------------------------------------------- what workers tell

    def constructed(self, worker: Worker) -> None:
        """Note that the constructor has returned."""
        actor = worker.actor
        if actor is not None and actor.state in (State.CONSTRUCTING, State.ENDING):
            self._move(actor, Cause.CONSTRUCT)

    def ending(self, worker: Worker, message: messages.Ending) -> None:
        """Note that a worker will exit on purpose. It gets a time limit, since its running calls may never return."""
        if worker.ending is not None:
            return
        worker.ending = message
        actor = worker.actor
        if actor is not None and self._will_restart(worker, actor):
            self._workers.kill_later(worker, actor.home.graceful_shutdown_s)
            return
        if actor is None:
            self._workers.kill_later(worker, EXIT_WITHIN_S)
        elif actor.state in (State.CONSTRUCTING, State.ALIVE):
            self._move(actor, Cause.END)
            self._free_name(actor)
            self._workers.kill_later(worker, actor.home.graceful_shutdown_s)

    def ready(self, worker: Worker, actor: Actor) -> None:
        """Assign the actor to its process, which has registered."""
        if actor.state is State.STARTING:
            with self._careful(actor, "an actor that is ready"):
                self._assign(worker, actor)

    def _assign(self, worker: Worker, actor: Actor) -> None:
        assert actor.allocation is not None, "only an actor that was placed has a process"
        self._move(actor, Cause.CONNECT)
        actor.attempts = 0
        actor.process_id, actor.pid = worker.process_id, worker.pid
        self.assign(worker, actor)
        holders.tell_up(self._context, actor)
        if not self._has_creator(actor):
            self._context.send(worker, messages.Terminate("creator_gone"))

    def assign(self, worker: Worker, actor: Actor) -> None:
        """Tell a worker which actor it is."""
        assert actor.allocation is not None, "only an actor that was placed has a process"
        asked = actor.creation
        assign = messages.Assign(
            actor_id=actor.actor_id,
            class_name=asked.class_name,
            name=asked.name,
            namespace=actor.namespace,
            job_id=actor.home.job_id,
            gpu_ids=actor.allocation.gpu_ids,
            resources=asked.resources,
            runtime_env=asked.runtime_env,
            graceful_shutdown_s=actor.home.graceful_shutdown_s,
            restarts=actor.restarts,
            may_restart=self._has_restart(actor),
            owner=actor.owner,
            owner_pid=actor.owner_pid,
            asked=asked,
            group=actor.group.described if actor.group is not None else None,
        )
        self._context.send(worker, assign)

    def lost(self, worker: Worker, actor: Actor) -> None:
        """Handle the loss of the actor's process."""
        if actor.allocation is not None:
            actor.allocation.release()
        with self._careful(actor, "an actor whose process is gone"):
            if actor.state is State.DEAD:
                self._remove_files(actor)
            else:
                self._handle_lost_process(worker, actor)

    def _has_creator(self, actor: Actor) -> bool:
        owner = self._context.processes.get(actor.owner)
        return owner is not None and not owner.lost

    def _has_restart(self, actor: Actor) -> bool:
        """Return whether a crash of the actor would be followed by a restart.

        Its creator constructs it again; the next process of a detached actor can do without, see `restart_files`.
        """
        is_left = actor.creation.max_restarts < 0 or actor.restarts < actor.creation.max_restarts
        return is_left and (actor.creation.detached or self._has_creator(actor)) and not self._context.stopping

    def _will_restart(self, worker: Worker, actor: Actor) -> bool:
        """Return whether the actor restarts when its worker, which has crashed or is about to exit, is gone."""
        has_crashed = worker.ending is None or worker.ending.kind in deaths.CRASHES
        return has_crashed and actor.state in (State.CONSTRUCTING, State.ALIVE) and self._has_restart(actor)

    def _restart(self, worker: Worker, actor: Actor) -> None:
        has_run = actor.state is State.ALIVE
        self._move(actor, Cause.RESTART)
        actor.restarts += 1
        actor.attempts = 0
        actor.crashed = worker.process_id
        actor.worker = actor.allocation = worker.actor = None
        actor.process_id = b""
        text = (worker.ending and worker.ending.text) or f"its worker process (pid {actor.pid}) has ended"
        holders.tell_restarting(self._context, actor, text, has_run)
        self._wait(actor)

    def _handle_lost_process(self, worker: Worker, actor: Actor) -> None:
        if self._will_restart(worker, actor):
            self._restart(worker, actor)
            return
        if actor.state is State.STARTING:
            actor.attempts += 1
            may_retry = worker.orphaned or self._has_restart(actor)
            if may_retry and self._workers.may_try_again(worker, actor.attempts):
                # No user code has run, since the creator sends the class to an actor that is up: no restart is used up.
                self._move(actor, Cause.RETRY)
                actor.worker = actor.allocation = worker.actor = None
                self._wait(actor)
                return
        if actor.state in (State.STARTING, State.CONSTRUCTING, State.ALIVE, State.ENDING):
            self._move(actor, Cause.LOSE)
            self._free_name(actor)
            if worker.ending is not None:
                self._go_down(actor, worker.ending.kind, worker.ending.text or "it has exited on its own.")

    def reported(self, worker: Worker, actor: Actor) -> None:
        """Tell the holders how the actor's process ended; that is known now, or will never be."""
        if actor.state is State.DYING:
            with self._careful(actor, "the end of an actor"):
                self._go_down(actor, self._workers.kind_of_death(worker), self._workers.death(worker))
                self._die(actor, Cause.REPORT)

    # ------------------------------------------------------------------------------------------- what ends an actor

    def forget_holder(self, process: Process) -> None:
        """Release all handles of a process that is gone."""
        for actor_id in list(process.holds):
            actor = self.table.find(actor_id)
            if actor is not None and holders.forget(actor, process):
                self._out_of_scope(actor)

    def end_children(self, process: Process, kind: str) -> None:
        """End the actors that a process has created, which is gone or about to end."""
        for actor_id in list(process.children):
            actor = self.table.find(actor_id)
            if actor is not None:
                self.end_child(actor, kind, process.pid)

    def end_child(self, actor: Actor, kind: str, owner_pid: int) -> None:
        """End an actor whose creator is gone or about to end, unless it is detached and needs its creator no more."""
        if not actor.creation.detached:
            text = deaths.SESSION_ENDED if kind == "session_ended" else deaths.owner_died(owner_pid)
            self.end(actor, kind, text, ORPHAN_GRACE_S)
            if actor.worker is not None:
                self._on_doomed(actor.worker)
        elif actor.state in (State.WAITING, State.STARTING) and not actor.creation.max_restarts:
            # Only the creator has the class and the arguments.
            self.discard(actor, "owner_died", deaths.owner_died(owner_pid))
        elif actor.state is State.CONSTRUCTING and actor.worker is not None:
            # The class may have been sent, or written to a file: the worker knows, and ends if it was not.
            self._context.send(actor.worker, messages.Terminate("creator_gone"))

    def end(self, actor: Actor, kind: str, text: str, grace_s: float) -> None:
        """End an actor: gracefully if it has a worker that runs, otherwise at once."""
        worker = actor.worker
        if actor.state in (State.WAITING, State.STARTING) or worker is None:
            self.discard(actor, kind, text)
            return
        if actor.state in (State.CONSTRUCTING, State.ALIVE):
            self._move(actor, Cause.END)
            self._free_name(actor)
            self._go_down(actor, kind, text)
            self._context.send(worker, messages.Terminate(kind))
        self._workers.kill_later(worker, grace_s)

    def discard(self, actor: Actor, kind: str, text: str) -> None:
        """End an actor at once."""
        if actor.state is State.DEAD:
            return
        self._go_down(actor, kind, text)
        self._die(actor, Cause.DISCARD)
        if actor.worker is not None:
            self._workers.kill(actor.worker)

    # ---------------------------------------------------------------------------------------------------- internals

    def _careful(self, actor: Actor, step: str) -> AbstractContextManager[None]:
        """Guard a step: if the node fails in it, the actor is dead and its holders are told why."""
        text = "the node has failed to serve it ({}). See logs/node.log in its directory."
        return self._context.careful(step, lambda why: self.discard(actor, "internal", text.format(why)))

    def _wait(self, actor: Actor) -> None:
        """Queue for resources, for the first or a later attempt."""

        def grant(allocation: Allocation) -> None:
            actor.allocation = allocation
            with self._careful(actor, "the placing of an actor"):
                self._place(actor)

        asked = actor.creation
        _, pool = source(actor.home, actor.group, asked.seat)
        pool, unmet = node_labels.pool_for(self._context, actor.home, pool, asked.selectors)
        actor.request = Request(_placement(asked, actor.resources), actor.resources, grant, pool, unmet)
        self._queue_up(actor.home, actor.request, f"actor {asked.class_name}", actor.group)

    def _place(self, actor: Actor) -> None:
        asked = actor.creation
        self._move(actor, Cause.PLACE)
        actor.request = None
        actor.worker = self._workers.start(actor.home, asked.class_name, asked)
        actor.worker.actor = actor

    def _out_of_scope(self, actor: Actor) -> None:
        if not actor.creation.detached and self._context.now >= self._context.scope_from:
            self.end(actor, "out_of_scope", deaths.OUT_OF_SCOPE, actor.home.graceful_shutdown_s)

    def _go_down(self, actor: Actor, kind: str, text: str) -> None:
        """Tell the holders why the actor is dead. The first cause counts."""
        if actor.down is None:
            asked = actor.creation
            actor.down = messages.ActorDown(actor.actor_id, kind, text, asked.class_name, asked.name, actor.pid)
        holders.tell_down(self._context, actor)

    def _move(self, actor: Actor, cause: Cause) -> None:
        actor.state = follow(actor.state, cause)
        self._on_changed(actor)

    def _die(self, actor: Actor, cause: Cause) -> None:
        self._move(actor, cause)
        self._free_name(actor)
        if actor.request is not None:
            _queue_of(actor).withdraw(actor.request)
            actor.request = None
        if actor.worker is None and actor.allocation is not None:
            actor.allocation.release()
        owner = self._context.processes.get(actor.owner)
        if owner is not None:
            owner.children.discard(actor.actor_id)
        actor.home.detached.discard(actor.actor_id)
        if actor.worker is None or actor.worker.lost:
            self._remove_files(actor)
        forgotten = self.table.bury(actor)
        if forgotten is not None and forgotten.worker is not None:
            self._context.do(RemoveLog(forgotten.worker.process_id))

    def _remove_files(self, actor: Actor) -> None:
        """Have the files of a dead actor removed, which no process of it can write any more.

        An actor that does not restart may have files, too: those who write them do not know its `max_restarts`.
        """
        self._context.do(RemoveRestartFiles(actor.actor_id))

    def _free_name(self, actor: Actor) -> None:
        if actor.creation.name:
            self.names.free(actor.namespace, actor.creation.name, actor.actor_id)

    def _is_settled_by_name(self, ask: Ask, asked: messages.CreateActor, namespace: str) -> bool:
        """Answer the request if the name is taken. Return whether it is."""
        existing = self.names.find(namespace, asked.name)
        if existing is None:
            return False
        if asked.get_if_exists:
            self._answer_named(ask, existing)
            return True
        try:
            self.names.claim(namespace, asked.name, asked.actor_id)
        except ValueError as error:
            ask.refuse("taken", str(error))
        return True

    def _answer_named(self, ask: Ask, actor_id: bytes, weak: bool = False) -> None:
        actor = self.table.find(actor_id)
        assert actor is not None, "only living actors have names"
        # `ActorUp` is sent before the answer, even to a holder: so the client sees the actor alive with its handle.
        holders.add(self._context, actor, ask.asker, 1, asks=True, weak=weak)
        ask.answer(messages.ActorNamed(ask.rid, actor_id, False, actor.creation.meta))

    def _may_not_create(self, creator: Process, asked: messages.CreateActor) -> bool:
        is_closed = creator.session is None or (creator.role == "session" and not creator.session.is_open)
        return is_closed or self._context.stopping or self.table.find(asked.actor_id) is not None

    def _why_not(self, creator: Process, asked: messages.CreateActor) -> str:
        if self._context.stopping:
            return "the node is stopping (`nbactors stop`): start a new session with init() and create the actor there."
        if creator.session is None or not creator.session.is_open:
            return "this process has no open session: call init() first."
        return f"there is an actor of the id {asked.actor_id.hex()} already: an id names one actor for ever."


def _queue_of(actor: Actor) -> PlacementQueue:
    return source(actor.home, actor.group, actor.creation.seat)[0]


def _placement(asked: messages.CreateActor, resources: Units) -> Units:
    """Return the resources that must be free to place an actor: at least those that it then holds."""
    placement = to_units(asked.placement)
    for name, amount in resources.items():
        placement[name] = max(placement.get(name, 0), amount)
    return placement
