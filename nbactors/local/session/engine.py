"""The embedded engine: implements the engine interface with the rooms of `local`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from nbactors import exceptions
from nbactors.definitions.metadata import MethodMeta
from nbactors.definitions.signature import ANYTHING
from nbactors.engine.base import ActorLink, Engine, FoundActor, GroupFacts, RuntimeFacts
from nbactors.exceptions.user_warning import warn_user
from nbactors.frontend import calling_cell as origin
from nbactors.frontend import redirected
from nbactors.frontend.bar import BarState
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.frontend.metric_points import POINTS
from nbactors.frontend.sink import Sink
from nbactors.frontend.unread_printer import UnreadPrinter
from nbactors.limits import MAX_NAME, MAX_TEXT
from nbactors.local.access import discovery
from nbactors.local.group_facts import group_facts
from nbactors.local.member import Process
from nbactors.local.objects.arrivals import Arrivals
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.held import Held
from nbactors.local.session.printer import Printer
from nbactors.local.session.showing import Showing
from nbactors.local.session.signal_wakeup import SignalWakeup
from nbactors.local.submitting import restart_file
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.submitting.actors import ActorHold
from nbactors.local.submitting.arguments import Arguments, prepare
from nbactors.local.submitting.construction import Concurrency, Construction
from nbactors.local.wire import ids, messages, restart_files
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.object_ref import ObjectRef
from nbactors.pickling import pickling
from nbactors.views.summaries import StoreFacts

if TYPE_CHECKING:
    from nbactors.definitions.metadata import ActorMeta, FunctionMeta
    from nbactors.engine.unready_set import UnreadySet
    from nbactors.options import ActorOptions, TaskOptions
    from nbactors.views.summaries import CallFacts

ASYNC_CONCURRENCY = 1000
"""Calls that an asyncio actor runs at the same time by default."""

ASYNC_MODULES = [
    "nbactors.local.worker.running.loop_host",
    "nbactors.in_worker.loop_blocking",
    "nbactors.local.worker.running.actor_loop",
    "nbactors.local.worker.running.loop_lane",
    "nbactors.local.worker.running.loop_performer",
    "nbactors.local.objects.futures",
]
"""Modules that the forkserver imports for asyncio actors: importing asyncio takes far longer than forking an actor."""

REPORT_S = 0.5
"""Seconds for which metrics are gathered before they are reported."""

STORE_S = 0.5
"""Seconds to wait for the node's answer about the object stores, which a view shows."""

GROUP_STEP_S = 60.0
"""Seconds of one question to the node whether a placement group is ready; a longer wait asks again."""

GROUP_ANSWER_S = 30.0
"""Seconds beyond those in which the node has to answer."""

DETACH_S = 5.0
"""Seconds that the end of a session waits until its detached actors have their classes."""

CLOSE_S = 6.0
"""Seconds to wait for the node's answer at shutdown: the session's actors have ended 5 seconds after it leaves."""


def _await_group(group_id: bytes, timeout_s: float, rid: int) -> messages.AwaitGroup:
    return messages.AwaitGroup(rid, group_id, timeout_s)


class LocalEngine(Engine):
    """The methods that the engines of sessions and workers share. The base class describes each of them.

    Attributes:
        detaches_actors: Whether actors without the option `lifetime` are detached: a setting of the session.
        labels: The labels of the node, without its id.
    """

    detaches_actors = False
    labels: Mapping[str, str] = {}

    def __init__(self, process: Process, job_id: bytes, namespace: str) -> None:
        self.process = process
        self.job_id = job_id
        self._namespace = namespace

    @property
    def namespace(self) -> str:
        """The session's namespace."""
        return self._namespace

    # ------------------------------------------------------------------------------------------------------ objects

    def put(self, value: Any) -> ObjectRef[Any]:
        process = self.process
        if INTERRUPTS.due:
            INTERRUPTS.raise_due()
        data = pickling.dumps_atom(value)
        held = process.objects.values.hold(value) if data is None else Held(data)
        return ObjectRef(Entry.made(process.objects, next(process.numbers), held))

    def find_object(self, object_id: bytes) -> ObjectRef[Any]:
        return self.process.objects.references.find(object_id)

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        __tracebackhide__ = True
        if INTERRUPTS.due:
            INTERRUPTS.raise_due()
        self._check_refs(refs)
        try:
            if len(refs) == 1:
                return [self.process.objects.waiting.get_one(refs[0]._entry, timeout)]
            return self.process.objects.waiting.get(refs, timeout)
        finally:
            if sys.stdout is not redirected.stdout or sys.stderr is not redirected.stderr:
                self._await_lines()

    def get_one(self, ref: ObjectRef[Any], timeout: float | None) -> Any:
        __tracebackhide__ = True
        if INTERRUPTS.due:
            INTERRUPTS.raise_due()
        objects, entry = self.process.objects, ref._entry
        if entry.home is not objects:
            self._check_refs((ref,))
        try:
            return objects.waiting.get_one(entry, timeout)
        finally:
            if sys.stdout is not redirected.stdout or sys.stderr is not redirected.stderr:
                self._await_lines()

    def wait(
        self, refs: list[ObjectRef[Any]], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """See the base class. On one machine every value is local: `fetch_local` changes nothing."""
        if INTERRUPTS.due:
            INTERRUPTS.raise_due()
        try:
            return self.process.objects.waiting.wait(refs, num_returns, timeout)
        finally:
            if sys.stdout is not redirected.stdout or sys.stderr is not redirected.stderr:
                self._await_lines()

    def unready_set(self) -> UnreadySet:
        return Arrivals(self.process.objects.waiting, self._end_wait)

    def _end_wait(self) -> None:
        """Await the lines that go to a stream which the user's code redirects. `get` and `wait` have this inline."""
        if sys.stdout is not redirected.stdout or sys.stderr is not redirected.stderr:
            self._await_lines()

    def _await_lines(self) -> None:
        """Do nothing: a worker shows no lines of its calls. Called on the thread of a `get` or `wait`, at its end."""

    def _check_refs(self, refs: Sequence[ObjectRef[Any]]) -> None:
        objects = self.process.objects
        for ref in refs:
            if ref._entry.home is not objects:
                raise exceptions.ObjectLostError(
                    ref.hex(), detail="Its session has been shut down; make the call again in this one."
                )

    # ------------------------------------------------------------------------------------------------------- actors

    def create_actor(
        self, meta: ActorMeta, cls: type, options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> FoundActor:
        """See the base class. Blocks only for a named actor, on the node's answer."""
        process = self.process
        process.node.check()
        if self.detaches_actors and options.given.get("lifetime") is None:
            options = options._replace(detached=True)
        self._warn_of_anonymous_detached(options)
        if options.get_if_exists and options.name and options.runtime_env and options.runtime_env.is_unprepared():
            try:  # an actor that exists needs no packages any more
                return self.get_actor(options.name, options.namespace, weak=False)
            except ValueError:
                pass
        failure: exceptions.RuntimeEnvSetupError | None = None
        runtime_env: messages.RuntimeEnv | None = None
        try:
            runtime_env = process.environment.runtime_env(options.runtime_env)
        except exceptions.RuntimeEnvSetupError as error:
            failure = error
        prepared = prepare(process.objects.values, args, kwargs)
        # Not cached: a cell may change what the class refers to, and actors are few.
        code = process.objects.values.hold_pickled(pickling.dumps_code(cls))
        sys_path, cwd = process.environment.changed_paths()
        actor_id = ids.new_actor_id(self.job_id)
        creation = messages.CreateActor(
            0,
            actor_id,
            meta.class_name[:MAX_NAME],
            options.name or "",
            options.namespace or "",
            options.get_if_exists,
            options.detached,
            options.placement(),
            options.held(),
            runtime_env,
            sys_path,
            cwd,
            pickling.dumps(meta).data if options.name else b"",
            ASYNC_MODULES if meta.is_async else [],
            options.max_restarts,
            options.memory_limit or 0,
            messages.Seat.of(options.scheduling_strategy, process.seat),
            messages.selectors(options.selectors),
        )
        if failure is not None:
            process.actors.note_created(creation, process.origin())
            hold = self._prepare(actor_id, meta, options._replace(max_restarts=0), code, prepared)
            text = (failure.error_message or "")[:MAX_TEXT]
            process.actors.fail(
                messages.ActorDown(actor_id, "runtime_env", text, meta.class_name, options.name or "", 0)
            )
        elif options.name:
            named = process.node.request(lambda rid: msgspec.structs.replace(creation, rid=rid), undo=self._disown)
            if not named.created:
                return self._found(named, weak=False)
            # From the node's answer to the hold, which owns the token, no code of the user's runs, not even while
            # something is pickled: an interrupt there would leave the actor without an owner.
            process.actors.note_created(creation, process.origin())
            hold = self._prepare(actor_id, meta, options, code, prepared)
        else:
            process.actors.note_created(creation, process.origin())
            hold = self._prepare(actor_id, meta, options, code, prepared)
            process.node.send_now(creation)
        return hold.link, meta, hold

    def _prepare(
        self, actor_id: bytes, meta: ActorMeta, options: ActorOptions, code: Held, prepared: bytes | Arguments
    ) -> ActorHold:
        hold = self.process.actors.create(actor_id, is_known=bool(options.name))
        link = hold.link
        link.configure(meta)
        limit = options.max_concurrency or (ASYNC_CONCURRENCY if meta.is_async else 1)
        concurrency = Concurrency(meta.is_async, limit, dict(options.concurrency_groups))
        parent, origin = self.process.caller()
        construct = Construction(link, code, prepared, concurrency, origin)
        construct.submitted = monotonic() if options.enable_task_events else 0.0
        construct.parent_id = parent.task_id if parent is not None else b""
        if options.max_restarts:
            if options.detached:
                construct.file = restart_files.constructor(self.process.directory, actor_id)
            self.process.actors.keep_construction(link, construct)
        link.submit_construction(construct)
        link.pump()
        return hold

    def _found(self, named: messages.ActorNamed, *, weak: bool) -> FoundActor:
        """Return an actor that exists already, for a handle or a weak handle."""
        actors = self.process.actors
        hold = None if weak else actors.obtain(named.actor_id, 1)
        link = actors.watch(named.actor_id, 1) if hold is None else hold.link
        meta = pickling.loads(named.meta)
        link.configure(meta)
        return link, meta, hold

    def _disown(self, answer: Any, *, weak: bool = False) -> None:
        """Release an actor that was found or created for a call that an interrupt ended. On the leader's thread."""
        if type(answer) is not messages.ActorNamed:
            return
        node = self.process.node
        if answer.created:  # it never gets its constructor's arguments
            node.insist(lambda rid: messages.KillActor(rid, answer.actor_id, True))
        node.send(messages.ReleaseHold(answer.actor_id, 1, weak))

    def _warn_of_anonymous_detached(self, options: ActorOptions) -> None:
        """Do nothing: only a session has an anonymous namespace; a worker has the namespace of its session."""

    def link_of(self, actor_id: bytes) -> ActorLink:
        return self.process.actors.watch(actor_id)

    def call_alone(self, link: ActorLink, method: str, args: tuple[Any, ...]) -> ObjectRef[Any]:
        ref: ObjectRef[Any] = link.call(MethodMeta(method, ANYTHING), args, {}, None)
        return ref

    def note_checkpoint(self, link: ActorLink, checkpoint: Any) -> None:
        assert isinstance(link, LocalActorLink)
        path = restart_files.checkpoint(self.process.directory, link.actor_id)
        restart_file.write(path, restart_file.parts_of(pickling.dumps(checkpoint)))

    def update_class(self, link: ActorLink, cls: type, meta: ActorMeta, swap: Callable[[str], bool]) -> None:
        assert isinstance(link, LocalActorLink)
        pickled = pickling.dumps_code(cls)
        draft = restart_files.draft(self.process.directory)
        restart_file.write(draft, restart_file.parts_of(pickled))
        try:
            if swap(draft):
                self.process.actors.keep_captured(link, pickled.found)
        finally:
            restart_file.remove(draft)
        link.update(meta)
        self.process.node.send_now(messages.ReplaceMeta(link.actor_id, pickling.dumps(meta).data))

    def kill(self, link: ActorLink, no_restart: bool) -> None:
        assert isinstance(link, LocalActorLink)
        if self.process.actors.existing(link.actor_id) is not link:
            raise self.process.membership.dead_handle_error(link.actor_id)
        self.process.node.request(lambda rid: messages.KillActor(rid, link.actor_id, no_restart))

    def stack(self, link: ActorLink, timeout: float) -> str:
        from nbactors.local import stack_of_actor  # noqa: PLC0415 - few sessions need it, none to begin

        return stack_of_actor.of_actor(self.process.directory, self._rows_of(link), timeout)

    def _rows_of(self, link: ActorLink) -> list[messages.ActorRow]:
        assert isinstance(link, LocalActorLink)
        return [row for row in self._query("actors").actors if row.actor_id == link.actor_id]

    def get_actor(self, name: str, namespace: str | None, *, weak: bool = True) -> FoundActor:
        named = self.process.node.request(
            lambda rid: messages.GetActor(rid, name, namespace or "", weak), undo=partial(self._disown, weak=weak)
        )
        return self._found(named, weak=weak)

    def current_actor(self) -> FoundActor:
        raise RuntimeError("This method is only available in an actor.")

    def exit_actor(self) -> None:
        raise TypeError("exit_actor API is called on a non-actor worker, so there is nothing to exit.")

    # -------------------------------------------------------------------------------------------------------- tasks

    def submit_task(
        self, function: FunctionMeta, args: tuple[Any, ...], kwargs: dict[str, Any], options: TaskOptions
    ) -> Any:
        return self.process.tasks.submit(function, args, kwargs, options)

    def cancel(self, ref: ObjectRef[Any], force: bool, recursive: bool, interrupt: bool) -> None:
        process, entry = self.process, ref._entry
        self._check_refs([ref])
        if entry.owner != process.process_id:
            connection = process.peers.connect(entry.owner)
            if connection is not None:
                connection.send_now(messages.CancelObject(entry.id, force, recursive, interrupt))
            return
        call = entry.call
        if call is None:
            return
        if force and isinstance(call.target, LocalActorLink):
            raise ValueError(
                "force=True is not supported for actor tasks: it would end the actor. Use kill(handle) for that; "
                "cancel(ref, interrupt=True) stops a running synchronous method and leaves the actor."
            )
        call.cancel(CancelMode.of(force, interrupt), recursive)

    def pending_calls(self) -> list[CallFacts]:
        return [call.facts() for call in self.process.pending_calls()]

    def cancel_all(self, force: bool, interrupt: bool) -> int:
        calls = self.process.latest_calls_first()
        for call in calls:
            is_task = not isinstance(call.target, LocalActorLink)
            call.cancel(CancelMode.of(force and is_task, interrupt), True)
        return len(calls)

    # ----------------------------------------------------------------------------------------------------- listings

    def _query(self, what: str, all_namespaces: bool = False) -> messages.Listing:
        listing: messages.Listing = self.process.node.request(lambda rid: messages.Query(rid, what, all_namespaces))
        return listing

    def list_named_actors(self, all_namespaces: bool) -> list[tuple[str, str]]:
        return [(row.namespace, row.name) for row in self._query("named_actors", all_namespaces).actors]

    def list_actors(self) -> list[dict[str, Any]]:
        return [row.shown() for row in self._query("actors").actors]

    def available_resources(self) -> dict[str, float]:
        return self._query("available_resources").amounts

    def cluster_resources(self) -> dict[str, float]:
        return self._query("cluster_resources").amounts

    def nodes(self) -> list[dict[str, Any]]:
        listing = self._query("nodes")
        return [
            {
                "NodeID": listing.facts.get("node_id", ""),
                "Alive": True,
                "NodeManagerAddress": "127.0.0.1",
                "NodeManagerHostname": os.uname().nodename,
                "NodeManagerPort": 0,
                "ObjectManagerPort": 0,
                "ObjectStoreSocketName": "",
                "RayletSocketName": os.path.join(self.process.directory, "node.sock"),
                "MetricsExportPort": 0,
                "NodeName": "127.0.0.1",
                "alive": True,
                "Resources": listing.amounts,
                "Labels": self.node_labels(),
            }
        ]

    # --------------------------------------------------------------------------------------------- placement groups

    def create_group(self, bundles: list[dict[str, float]], strategy: str, name: str, detached: bool) -> bytes:
        group_id = os.urandom(14) + self.job_id
        asked = messages.CreateGroup(0, group_id, bundles, strategy, name, detached)  # type: ignore[arg-type] # checked

        def undo(answer: Any) -> None:
            if type(answer) is messages.Done:
                self.process.node.insist(lambda rid: messages.RemoveGroup(rid, group_id))

        self.process.node.request(lambda rid: msgspec.structs.replace(asked, rid=rid), undo=undo)
        return group_id

    def remove_group(self, group_id: bytes) -> None:
        self.process.node.request(lambda rid: messages.RemoveGroup(rid, group_id))

    def await_group(self, group_id: bytes, timeout: float) -> str:
        limit = monotonic() + timeout
        while True:
            step = max(min(limit - monotonic(), GROUP_STEP_S), 0.0)
            answer = self.process.node.request(partial(_await_group, group_id, step), step + GROUP_ANSWER_S)
            if answer.state != "PENDING" or monotonic() >= limit:
                return str(answer.state)

    def groups(self) -> list[GroupFacts]:
        return group_facts(self._query("placement_groups"))

    def current_group(self) -> bytes:
        return self.process.seat.group_id if self.process.seat is not None else b""

    def captures_children(self) -> bool:
        return self.process.seat is not None and self.process.seat.captures

    def metrics(self) -> str:
        self.report_metrics()
        return self._query("metrics").facts["metrics"]

    def report_metrics(self) -> None:
        """Report to the node what the metrics of this process have recorded since the last report. Any thread."""
        points = [
            messages.MetricPoint(
                point.definition.kind,  # type: ignore[arg-type] # one of the three kinds
                point.definition.name,
                point.definition.description[:MAX_NAME],
                {key[:MAX_NAME]: value[:MAX_NAME] for key, value in point.tags},
                point.value,
                point.counts,
                list(point.definition.boundaries),
            )
            for point in POINTS.take()
        ]
        while points and not self.process.node.lost:
            batch, points = points[: messages.MAX_POINTS], points[messages.MAX_POINTS :]
            self.process.node.send_now(messages.Metrics(batch))

    def expect_metrics(self) -> None:
        """Report metrics from now on, twice a second while there is something to report."""
        POINTS.report_to(lambda: self.process.reactor.call_later(REPORT_S, self.report_metrics))

    def object_store(self) -> tuple[StoreFacts, StoreFacts | None]:
        process = self.process
        if process.reactor.leads():
            raise exceptions.RaySystemError("the thread that reads the node's answers cannot wait for one.")
        listing: messages.Listing = process.node.request(lambda rid: messages.Query(rid, "object_store"), STORE_S)
        facts = [StoreFacts(row.held, row.spilled, row.limit, row.silent) for row in listing.stores]
        return facts[0], facts[1] if len(facts) > 1 else None

    # ------------------------------------------------------------------------------------------------------ context

    def runtime_facts(self) -> RuntimeFacts:
        return RuntimeFacts(
            node_id=self.node_id,
            job_id=self.job_id,
            worker_id=self.process.process_id,
            namespace=self._namespace,
            is_driver=True,
        )

    def node_labels(self) -> dict[str, str]:
        return {**self.labels, "ray.io/node-id": self.node_id.hex()}

    def directory(self) -> str:
        return self.process.directory

    def runtime_env(self) -> dict[str, Any]:
        setup = self.process.environment.inherited
        return setup.described() if setup is not None else {}

    @property
    def node_id(self) -> bytes:
        """The node's id, empty before the node has answered."""
        welcome = self.process.node.welcome
        return welcome.node_id if welcome is not None else b""

    def describe(self) -> dict[str, Any]:
        welcome = self.process.node.welcome
        return {
            "namespace": self._namespace,
            "job_id": self.job_id.hex(),
            "node_id": self.node_id.hex(),
            "node_pid": welcome.pid if welcome is not None else 0,
            "directory": self.process.directory,
            "python_version": sys.version.split()[0],
            # As in Ray. What has no counterpart here is empty.
            "node_ip_address": "127.0.0.1",
            "address": "" if discovery.own() else "auto",  # another session joins the node by it
            "gcs_address": "",
            "session_dir": self.process.directory,
            "raylet_socket_name": os.path.join(self.process.directory, "node.sock"),
            "object_store_address": "",
            "redis_address": None,
            "webui_url": "",
            "metrics_export_port": -1,
            "dashboard_agent_listen_port": -1,
            "resources": self.cluster_resources(),
        }

    def shutdown(self) -> None:
        self.process.close()


class SessionEngine(LocalEngine):
    """The engine of a session."""

    def __init__(self, process: Process, job_id: bytes, namespace: str, anonymous: bool, printer: Printer) -> None:
        super().__init__(process, job_id, namespace)
        self._anonymous = anonymous
        self._printer = printer
        self._pid = os.getpid()
        self._wakeup = SignalWakeup(process.reactor)
        process.job_number = int.from_bytes(job_id, "little")
        self._unread_printer = UnreadPrinter(process.reactor.call_later)
        showing = Showing(process.handle, lambda: self.sink, self._unread_printer)
        process.actors.on_unmade = showing.on_unmade
        process.objects.unread.tell = showing.on_unread
        self.expect_metrics()

    def set_sink(self, sink: Sink | None) -> None:
        super().set_sink(sink)
        self._printer.sink = sink

    def catch_up(self, timeout: float) -> None:
        try:
            self.process.node.request(messages.CatchUp, timeout)
        except exceptions.RaySystemError:  # without a node there is no output
            pass

    def _await_lines(self) -> None:
        """Wait for the lines of calls that have ended, if a block has redirected the output."""
        if redirected.has_any() and not self.process.reactor.leads():  # the leader itself reads the lines
            self.catch_up(redirected.WAIT_S)

    def calling_cell(self) -> int:
        return origin.current()

    def report_bar(self, state: BarState) -> bool:
        cell = state.cell or origin.current()
        if self.sink is None or not cell:
            return False
        self.sink.bar(state._replace(cell=cell))
        return True

    def cancel_interrupted(self, ref: ObjectRef[Any]) -> None:
        interruption = self.process.objects.waiting.interruption
        if interruption is not None:
            interruption.cancel_one(ref._entry)

    def call_in_wait(self, callback: Callable[[], None]) -> bool:
        return self.process.objects.waiting.visit(callback)

    def _warn_of_anonymous_detached(self, options: ActorOptions) -> None:
        if options.detached and options.name and self._anonymous and not options.namespace:
            warn_user(
                f"the detached actor {options.name!r} is created in this session's anonymous namespace "
                f"{self._namespace!r}, so a later session finds it only by that name: "
                f"get_actor({options.name!r}, namespace={self._namespace!r}). Call init(namespace=...) first, or give "
                "the actor a namespace of its own."
            )

    def shutdown(self) -> None:
        process = self.process
        if process.membership.has_left:
            return
        if os.getpid() != self._pid:
            process.forget()
            return
        self.checkpoints.clear()
        has_node = not process.node.lost
        try:
            if has_node:
                process.actors.await_detached(DETACH_S)
                deadline = monotonic() + CLOSE_S
                self.report_metrics()
                process.flush()
                process.objects.unread.session_ends = True
                try:
                    process.node.request(messages.CloseSession, max(deadline - monotonic(), 0.1))
                except exceptions.RaySystemError:  # the node died meanwhile: nothing is left to wait for
                    pass
        finally:
            # Also after an interrupt of the wait: the node ends the actors all the same.
            self._wakeup.remove()
            POINTS.report_to(None)
            self._unread_printer.flush()
            process.close()
            discovery.leave_own(is_left=not has_node)
            self._printer.close()
            INTERRUPTS.remove()
        INTERRUPTS.raise_due()
