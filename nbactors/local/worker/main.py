"""A worker process from its fork to its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from nbactors import engine, exceptions
from nbactors.definitions import main_names
from nbactors.frontend.unread_printer import UnreadPrinter
from nbactors.in_worker import breakpoints, ipython_display, questions, tqdm_bars
from nbactors.limits import MAX_NAME
from nbactors.local import sockets
from nbactors.local.member import Process
from nbactors.local.membership import Membership
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages, restart_files
from nbactors.local.worker import applying, early, spawned_main
from nbactors.local.worker.engine import WorkerEngine
from nbactors.local.worker.inspecting.imported import ImportedFiles
from nbactors.local.worker.inspecting.user_line import UserLine
from nbactors.local.worker.printing.bar_sender import NodeBarSender
from nbactors.local.worker.printing.display_sender import DisplaySender
from nbactors.local.worker.printing.process_title import set_title
from nbactors.local.worker.printing.text_stream import text_stream
from nbactors.local.worker.running.ending import Ending
from nbactors.local.worker.running.executor import Executor
from nbactors.local.worker.running.forked import ForkHooks
from nbactors.version import __version__

WELCOME_S = 20.0

CONSTRUCT_S = 0.5
"""Seconds for which the messages of a dead creator may still arrive."""

LOOK_AGAIN_S = 1.0
"""Seconds between two looks of a spare worker whether the objects that it owns are still needed."""

LOOK_FOR_DRIVER_S = 0.5
"""Seconds between two looks whether the driver lives, while there is no node."""

DETACH_S = 2.0
"""Seconds that the end of a worker waits until its detached actors have their classes: the node kills it after 3 s."""

_REASONS = {
    "out_of_scope": (
        "all handles to it went out of scope; a weak handle, as from get_actor(), does not keep it alive. Keep the "
        "handle that .remote() has returned, or create the actor with lifetime='detached'."
    ),
    "owner_died": "its owner has died: the process that created it has ended.",
    "session_ended": "the session that created it has ended.",
    "node_stopped": "the node daemon was stopped.",
}


class Worker:
    """Puts a worker's parts together, and handles the node's messages.

    The forkserver makes one before it forks: to make these some hundred objects takes longer than all else that a
    worker does before its first call. Each child then has it, and becomes the worker by `begin` and `run`.
    """

    def __init__(self) -> None:
        self._is_blocked = False
        self._has_joined = False
        self._assigned = Waiter()
        self._assign: messages.Assign | None = None
        self._told_label = ""
        self._imported = ImportedFiles(frozenset())
        self.process = Process(Membership(), self._on_control, self._on_node_lost)
        process = self.process
        process.describe = self._describe
        self.executor = executor = Executor(
            process.membership,
            process.objects,
            process.peers,
            process.node,
            flush=process.flush,
            cancel_children=process.cancel_children,
            set_title=self._show,
            recorder=process.recorder,
            waits=process.waits,
        )
        executor.on_named = self._name_output
        process.current_call = process.waits.current_job = executor.current_job
        process.on_caller, process.on_caller_gone = executor.on_caller, executor.on_caller_gone
        process.objects.waiting.on_block = self._lend
        process.objects.unread.tell = UnreadPrinter(process.reactor.call_later).take
        process.node.returning = process
        self._engine = WorkerEngine(process, executor)
        executor.farewell.before_leaving = self._before_leaving
        self._fork_hooks = ForkHooks(
            executor.hosted, executor.performer, executor.answers, executor.output, executor.give_signals_back
        )
        self._redirect()
        self.streams = text_stream(1), text_stream(2)
        self._streams_before = sys.stdout, sys.stderr
        """Kept in a worker: their end would write to memory that it shares."""

    def _before_leaving(self) -> None:
        self._engine.report_metrics()
        self.process.actors.await_detached(DETACH_S)

    def _redirect(self) -> None:
        """Have bars, displays, breakpoints and questions of user code shown by the session."""
        process, output = self.process, self.executor.output
        tqdm_bars.install(lambda: NodeBarSender.of_caller(process.node, process.reactor, process.caller))
        ipython_display.install(DisplaySender(process.node, process.reactor, process.origin, output.end))
        line = UserLine(process.membership, process.node)
        breakpoints.install(line, output.origin)
        questions.install(line, output.origin)

    def begin(self, process_id: bytes, directory: str) -> None:
        """Become the worker with this id, in the child. Before any thread of it starts."""
        self.process.begin(process_id, directory)
        self._fork_hooks.register()

    def join_as_spare(self) -> None:
        """Join the node before there is an order. Exits if that is not possible."""
        try:
            self._join(is_spare=True)
        except OSError as error:  # the node ends, or has no descriptors left
            print(f"a spare worker cannot join the node: {error}", file=sys.stderr, flush=True)
            os._exit(1)

    def _join(self, is_spare: bool) -> None:
        sock = sockets.connect(os.path.join(self.process.directory, "node.sock"), WELCOME_S)
        self.process.join(sock, "worker", __version__, is_spare)
        self._has_joined = True

    def take_order(self, readers: tuple[int, int]) -> None:
        """Be no spare any more. The worker's stdout and stderr are in place.

        Args:
            readers: The read ends of its stdout and stderr, which it keeps for the next node, if this one crashes.
        """
        self.executor.output.keep(readers)
        if self.process.is_spare:
            self._leave_spares()

    def _leave_spares(self) -> None:
        self.process.be_ordered()
        if self.process.node.lost:
            self._on_node_lost(self.process.node.lost)

    def run(self) -> None:
        """Join the node, unless a spare has done that, wait for the assignment, and run calls. Does not return."""
        process = self.process
        self._imported = ImportedFiles(early.inherited)
        if not self._has_joined:
            self._join(is_spare=False)
        if not process.reactor.wait(self._assigned, WELCOME_S):
            os._exit(1)
        assert self._assign is not None
        engine.install(self._engine)
        self._engine.expect_metrics()
        self._apply(self._assign)
        self._take_settings(self._engine)
        process.environment.tell_paths()
        self.executor.serve()

    def _take_settings(self, engine: WorkerEngine) -> None:
        """Take over the settings of the session, which the node has told before the assignment."""
        opened = self.process.home.opened if self.process.home is not None else None
        if opened is None:
            return
        engine.detaches_actors, engine.labels = opened.detaches_actors, opened.labels
        if opened.logging:
            import json  # noqa: PLC0415 - few sessions need it

            from nbactors.logging_config import LoggingConfig  # noqa: PLC0415 - as above

            LoggingConfig.from_dict(json.loads(opened.logging))._apply()

    # ------------------------------------------------------------------------------------------------------- control

    def _on_control(self, message: Any) -> None:
        kind = type(message)
        if kind is messages.Assign:
            first = self._assign is None
            self._assign = message
            self._take_seat(message)
            if message.actor_id:
                hosted = self.executor.hosted
                hosted.actor_id = message.actor_id
                hosted.class_name, hosted.name = message.class_name, message.name
                hosted.may_restart, hosted.restarts = message.may_restart, message.restarts
            if first:
                self._assigned.finish()
            else:
                self._apply(message)
            self.executor.assigned(message.lease_id)
        elif kind is messages.Look:
            self.process.node.send_now(messages.Looked(self._imported.have_changed()))
        elif kind is messages.Terminate:
            self._terminate(message.kind)
        elif kind is messages.Home:
            self.process.home = message
        elif kind is messages.ReplaceMeta:
            self._replace_meta(message)
        elif kind is messages.PipesLost:
            self.executor.output.lose(message.origin)

    def _replace_meta(self, message: messages.ReplaceMeta) -> None:
        """Keep the changed metadata of this actor for the next node, if this one crashes."""
        assert self._assign is not None, "the node has assigned the actor before"
        asked = self._assign.asked
        assert isinstance(asked, messages.CreateActor), "only actors have metadata"
        asked = msgspec.structs.replace(asked, meta=message.meta)
        self._assign = msgspec.structs.replace(self._assign, asked=asked)

    def _describe(self) -> list[tuple[Any, Sequence[int]]]:
        """Return what the next node must know of this worker. The leader's thread."""
        executor, assign = self.executor, self._assign
        made, ending = executor.hosted.made.is_set(), executor.farewell.ending
        described: list[tuple[Any, Sequence[int]]] = [
            (messages.Rejoin(self.process.home, assign, made, self._told_label, self._is_blocked), ())
        ]
        described += ((messages.OutputPipes(origin), ends) for origin, ends in executor.output.readers())
        if ending is not None:
            described.append((messages.Ending(ending.kind, ending.text), ()))
        if executor.is_retired:
            # A node that does not know would lease this worker again and again, and each task would be given back.
            described.append((messages.Spent(), ()))
        return described

    def _terminate(self, kind: str) -> None:
        if kind == "idle":
            self._end_when_unneeded()
        elif kind == "creator_gone":
            if not self.executor.construct_from_file():
                self.process.reactor.call_later(CONSTRUCT_S, self._end_if_unconstructed)
        else:
            self.executor.end(Ending(kind, _REASONS.get(kind, kind)))

    def _end_when_unneeded(self) -> None:
        """End a spare task worker after the last borrower has given back the objects that the worker owns."""
        if self.process.objects.references.lent:
            self.process.reactor.call_later(LOOK_AGAIN_S, self._end_when_unneeded)
        else:
            self.executor.end(Ending("exit", "it was spare."))

    def _end_if_unconstructed(self) -> None:
        if not self.executor.constructed:
            text = "its creator ended before it had sent the class and the constructor's arguments."
            if self.executor.hosted.restarts:
                path = restart_files.constructor(self.process.directory, self.executor.hosted.actor_id)
                text = f"its creator has ended, and the file for restarts is gone: {path}"
            self.executor.end(Ending("creation_failed", text, graceful=False))

    def _on_node_lost(self, why: str) -> None:
        if self.process.is_spare:  # it tells the actor's creator, if there will be one
            return
        if self.process.node.is_away and self._is_needed():
            self.process.reactor.call_later(LOOK_FOR_DRIVER_S, lambda: self._on_node_lost(why))
            return
        if not self.process.node.lost:  # another node was found meanwhile
            return
        # Without the node no other process ends this one or removes its socket's file.
        self.process.door.close()
        # nbactors was installed anew after the node had begun: the output tells the creator. Other refusals need no
        # word, since the node has ended the worker before it could join.
        if self.process.node.refused == "version":
            print(why, file=sys.stderr, flush=True)
        os._exit(1)

    def _is_needed(self) -> bool:
        """Return whether this worker goes on without a node: for a detached actor, or while its driver lives."""
        assign, home = self._assign, self.process.home
        if assign is None or home is None:
            return False
        if isinstance(assign.asked, messages.CreateActor) and assign.asked.detached:
            return True
        return sockets.is_process_alive(self.process.directory, home.driver)

    def _take_seat(self, assign: messages.Assign) -> None:
        """Note the placement group of an assignment. A worker is in one group for all its life."""
        asked, group = assign.asked, assign.group
        self.process.seat = asked.seat if asked is not None else None
        if group is not None:
            self.process.groups.setdefault(group.creation.group_id, group)

    def _apply(self, assign: messages.Assign) -> None:
        """Take over the node's assignment: the first one, and a task worker's with each lease."""
        env = assign.runtime_env
        self.process.environment.inherited = applying.read(env) if env else None
        self._engine.take(assign)
        asked = assign.asked
        if asked is not None and asked.memory_limit:
            # CUDA maps ranges of many GiB, and only Linux applies the limit to mappings.
            is_watched = bool(assign.gpu_ids) or sys.platform != "linux"
            self.executor.limit_memory(asked.memory_limit, is_watched=is_watched)
        if env is None or b"CUDA_VISIBLE_DEVICES" not in env.env_vars:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(assign.gpu_ids)

    # ------------------------------------------------------------------------------------------------------- blocking

    def _lend(self) -> Any:
        """Lend the CPUs of a task that waits on the main thread, and give the tasks behind it back."""
        running = self.executor.hosted.running
        if running is None or not running.is_task:
            return None
        self.executor.give_back()
        self._is_blocked = True
        self.process.node.send_now(messages.Blocked())
        return self._end_lending

    def _end_lending(self) -> None:
        self._is_blocked = False
        self.process.node.send_now(messages.Unblocked())

    def _show(self, label: str) -> None:
        assign = self._assign
        if label:
            set_title(f"ray::{label}")
        elif assign is not None and assign.actor_id:
            set_title(f"ray::{assign.class_name}")
        else:
            set_title("ray::IDLE")
        if label and assign is not None and not assign.actor_id and label != self._told_label:
            self._told_label = label
            self.process.node.send_now(messages.SetTitle(label[:MAX_NAME]))

    def _name_output(self, label: str) -> None:
        """Tell the node the actor's text, before a method prints: the pipes are read apart from the messages."""
        self._told_label = label
        try:
            self.process.node.request(lambda rid: messages.SetTitle(label[:MAX_NAME], rid))
        except exceptions.RayError:  # the next node learns the label when this worker joins it
            pass


def prepare() -> None:
    """Make what all workers use. The forkserver calls this once, before it has taken over the session's path."""
    main_names.begin()
    early.prepare()


def before_forks() -> None:
    """Note what workers inherit. The forkserver calls this before the first fork, and after it has imported more."""
    early.note()


def make() -> Worker:
    """Make what all workers consist of. The forkserver calls this once. It starts no thread, and meets no process."""
    return Worker()


def run(worker: Worker, title: str, runtime_env: messages.RuntimeEnv | None) -> None:
    """Be a worker, which has begun. The forkserver's child calls this, with the node's pipes as stdout and stderr.

    Args:
        worker: What `make` has returned.
        title: The process title until the first call.
        runtime_env: Applied before any user code is imported.
    """
    sys.stdout, sys.stderr = worker.streams
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc] # as at interpreter start
    spawned_main.describe()
    setup = applying.read(runtime_env) if runtime_env is not None else None
    if setup is not None:
        applying.enter(setup)
    early.give_way()
    if setup is not None:
        applying.run_hook(setup)
    set_title(title)
    worker.run()
