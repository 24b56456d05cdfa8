"""`RayEngine`: the interface of an engine on Ray's API, in sessions and in the workers of the cluster."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from time import monotonic, sleep, time
from types import ModuleType
from typing import TYPE_CHECKING, Any

import ray

from nbactors import exceptions
from nbactors.cluster.calls import ORDER_S, Calls, sent
from nbactors.cluster.common import actor_records, current
from nbactors.cluster.common.context import was_restarted
from nbactors.cluster.common.usage import Usage
from nbactors.cluster.creation import actor_options, host_class, lasting
from nbactors.cluster.host.call import CURRENT, Call
from nbactors.cluster.host.setup import Setup
from nbactors.cluster.link import RayActorLink
from nbactors.cluster.objects import Objects, translating
from nbactors.cluster.refusals import sending
from nbactors.cluster.tasks import Export
from nbactors.cluster.watcher import Dropped, Watcher
from nbactors.definitions.by_value import MODULES
from nbactors.definitions.importable import ByName, address_of
from nbactors.definitions.metadata import MethodMeta
from nbactors.definitions.serializers import SERIALIZERS, Serializer
from nbactors.definitions.signature import ANYTHING
from nbactors.engine.base import ActorLink, Engine, FoundActor, GroupFacts, RuntimeFacts
from nbactors.object_ref import ObjectRef
from nbactors.views.summaries import ActorFacts, CallFacts, StoreFacts

if TYPE_CHECKING:
    from nbactors.cluster.common.hosted import Hosted
    from nbactors.cluster.object_records import Record
    from nbactors.cluster.observing.actor_logs import ActorLogs
    from nbactors.cluster.observing.task_table import TaskTable
    from nbactors.cluster.wanted import Wanted
    from nbactors.definitions.metadata import ActorMeta, FunctionMeta
    from nbactors.frontend.bar import BarState
    from nbactors.options import ActorOptions, TaskOptions

FREE_S = 5.0
"""Seconds to wait until the name of a dead actor is free: Ray frees it later than it tells callers of the death."""

FLUSH_S = 0.5
"""Seconds to wait until what an actor has written has arrived, before it is killed."""

META_S = 30.0
"""Seconds to wait for the metadata of an actor whose creator is still about to keep it."""


class RayEngine(Engine):
    """The methods that sessions and workers share. The base class describes each of them.

    Attributes:
        before_block: Called before `get` and `wait` may block their thread.
        show_bar: In a worker, shows the state of a bar; returns False if no cell has made the call.
        hosted: The host of this worker's actor, None elsewhere.
        objects: What this process refers to.
        calls: What it has called.
        wanted: In a session, told of the amounts that actors and tasks ask for.
        usage: Counts the threads that use Ray, whose end waits for them.
        actor_logs: In a session, the logs that were asked for.
        task_table: In a session, the calls that its workers have reported.
    """

    name = "ray"

    def __init__(self) -> None:
        self.hosted: Hosted | None = None
        self.wanted: Wanted | None = None
        self.actor_logs: ActorLogs | None = None
        self.usage = Usage()
        self.task_table: TaskTable | None = None
        self.before_block: Callable[[], None] = _nothing
        self.show_bar: Callable[[BarState], bool] | None = None
        self.objects = Objects(Watcher(self.on_dropped_end), self._in_slices)
        self.calls = Calls(self.objects, self.calling_cell, self.hub_name)
        self._links: weakref.WeakValueDictionary[bytes, RayActorLink] = weakref.WeakValueDictionary()
        SERIALIZERS.follow(_tell_ray)
        MODULES.follow(_tell_ray_of_module)

    @property
    def namespace(self) -> str:
        """The session's namespace."""
        return str(ray.get_runtime_context().namespace)

    # ------------------------------------------------------------------------------------------------------ objects

    def put(self, value: Any) -> ObjectRef[Any]:
        return self.objects.put(value)

    def find_object(self, object_id: bytes) -> ObjectRef[Any]:
        return self.objects.find(object_id)

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        __tracebackhide__ = True
        if timeout != 0:
            self.before_block()
        return self.objects.get(refs, timeout)

    def get_one(self, ref: ObjectRef[Any], timeout: float | None) -> Any:
        __tracebackhide__ = True
        return self.get((ref,), timeout)[0]

    def wait(
        self, refs: list[ObjectRef[Any]], num_returns: int, timeout: float | None, fetch_local: bool
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        if timeout != 0:
            self.before_block()
        return self.objects.wait(refs, num_returns, timeout, fetch_local)

    def _in_slices(self) -> bool:
        return self.hosted is not None and threading.current_thread() is not threading.main_thread()

    def calling_cell(self) -> int:
        call = CURRENT.get()
        return call.cell if call is not None else 0

    def pending_calls(self) -> list[CallFacts]:
        return self.calls.facts()

    def cancel_all(self, force: bool, interrupt: bool) -> int:
        return self.calls.cancel_all(force, interrupt)

    def cancel(self, ref: ObjectRef[Any], force: bool, recursive: bool, interrupt: bool) -> None:
        record: Record = ref._entry
        self.objects.check([record])
        if record.verdict is not None or (not record.number and record.done()):
            return
        if force and record.origin.actor_id:
            if record.done():
                return
            raise ValueError(
                "force=True is not supported for actor tasks: it would end the actor. Use kill(handle) for that; "
                "cancel(ref, interrupt=True) stops a running synchronous method and leaves the actor."
            )
        self.calls.cancel([record], force, recursive, interrupt)

    def on_dropped_end(self, dropped: Dropped) -> None:
        """Do nothing: only a session reports errors that nobody has read."""

    def report_bar(self, state: BarState) -> bool:
        return self.show_bar is not None and self.show_bar(state)

    def hub_name(self) -> str:
        """Return the name of the session's hub. In a worker only calls have one."""
        return ""

    # ------------------------------------------------------------------------------------------------------- actors

    def link(self, handle: Any, meta: ActorMeta) -> RayActorLink:
        """Return this process's link to an actor, for one of Ray's handles."""
        actor_id = handle._actor_id.binary()
        found = self._links.get(actor_id)
        if found is None:
            found = self._links[actor_id] = RayActorLink(self.calls, self.facts_of, handle, meta)
        return found

    def handle_of(self, actor_id: bytes) -> Any:
        """Return Ray's weak handle of an actor, None if this process has none."""
        link = self._links.get(actor_id)
        return link.handle if link is not None else None

    def create_actor(
        self, meta: ActorMeta, cls: type, options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> FoundActor:
        submitted = time() if options.enable_task_events else 0.0
        call = Call("__init__", tuple(kwargs), 0, "", f"{meta.class_name}.__init__", submitted)
        call = self.calls.placed(call)
        limit = options.max_concurrency or (1000 if meta.is_async else 1)
        is_plain = not meta.is_async and limit == 1 and not options.concurrency_groups
        limits = {"": limit, **options.concurrency_groups}
        setup = Setup(call, _travelling(cls), meta, options.name or meta.class_name, is_plain, limits)
        host = host_class(meta, options)
        given = actor_options(options)
        if self.wanted is not None:
            self.wanted.note(meta.class_name, given)
        values = [sent(value) for value in (*args, *kwargs.values())]
        is_restartable = bool(options.given.get("max_restarts"))
        if is_restartable:
            with sending(values):
                values = lasting(values)
        deadline = monotonic() + FREE_S
        while True:
            try:
                if options.get_if_exists and options.name:
                    return self.get_actor(options.name, options.namespace, weak=False)
            except ValueError:
                pass  # there is none
            try:
                with sending([cls, *values]):
                    handle = host.options(**given).remote(setup, *values)
                break
            except exceptions.ActorAlreadyExistsError:
                if monotonic() > deadline or not (options.get_if_exists or self._free(options.name, options.namespace)):
                    raise
                sleep(0.02)
        link = self.link(handle, meta)
        link.learn_home(call.hub)
        if is_restartable:
            link.arguments = [value for value in values if isinstance(value, ray.ObjectRef)]
        if options.name:
            actor_records.keep_meta(link.actor_id, meta)
        return link, meta, link.hold_of(handle)

    def _free(self, name: str | None, namespace: str | None) -> bool:
        """Free the name of an actor that this process knows to be dead. Return False if it lives."""
        try:
            handle = ray.get_actor(name or "", namespace=namespace)
        except ValueError:
            return True
        if handle._actor_id.binary() not in self.objects.died:
            return False
        ray.kill(handle)
        return True

    def get_actor(self, name: str, namespace: str | None, *, weak: bool = True) -> FoundActor:
        try:
            handle = ray.get_actor(name, namespace=namespace)
        except ValueError as error:
            raise exceptions.ActorHandleNotFoundError(str(error)) from None
        actor_id = handle._actor_id.binary()
        found = self._links.get(actor_id)
        if found is not None:
            return found, found.meta, None if weak else found.hold()
        meta = self._meta_of(actor_id, handle, name)
        return self.link(handle, meta), meta, None

    def _meta_of(self, actor_id: bytes, handle: Any, name: str) -> ActorMeta:
        meta = actor_records.meta(actor_id)
        if meta is None:
            if not hasattr(handle, "stream"):
                raise exceptions.ActorHandleNotFoundError(
                    f"the actor {name!r} is one of Ray's own, which `ray.get_actor` finds: it was not made by nbactors"
                )
            call = self.calls.placed(Call("__ray_call__", (), 0, "", "get_actor"))
            meta = ray.get(handle.call.remote(call.packed(), _meta_of_host), timeout=META_S)
        return meta

    def link_of(self, actor_id: bytes) -> ActorLink:
        found = self._links.get(actor_id)
        if found is not None:
            return found
        row = next((row for row in self.list_actors() if row["actor_id"] == actor_id.hex()), None)
        if row is None or not row["name"]:
            raise exceptions.RaySystemError(
                f"the actor {actor_id.hex()} has no name, and this process has no handle to it: on a Ray cluster such "
                "an actor cannot be found. Give it a name, or pass a handle"
            )
        link: ActorLink = self.get_actor(row["name"], row["ray_namespace"] or None)[0]
        return link

    def call_alone(self, link: ActorLink, method: str, args: tuple[Any, ...]) -> ObjectRef[Any]:
        ref: ObjectRef[Any] = link.call(MethodMeta(method, ANYTHING), args, {}, None)
        return ref

    def note_checkpoint(self, link: ActorLink, checkpoint: Any) -> None:
        actor_records.keep_checkpoint(link.actor_id, checkpoint)

    def update_class(self, link: ActorLink, cls: type, meta: ActorMeta, swap: Callable[[str], bool]) -> None:
        assert isinstance(link, RayActorLink)
        swap("")
        actor_records.keep_changed_class(link.actor_id, cls)
        actor_records.keep_meta(link.actor_id, meta)
        link.renew(meta)

    def kill(self, link: ActorLink, no_restart: bool) -> None:
        assert isinstance(link, RayActorLink)
        if link.actor_id not in self.objects.died:
            self._await_output(self.calls.hub(), link.actor_id)
        with translating():
            ray.kill(link.handle, no_restart=no_restart)
        if no_restart:
            actor_records.forget(link.actor_id)

    @staticmethod
    def _await_output(hub: Any, actor_id: bytes = b"") -> None:
        """Have what an actor has written arrive, or what all have. A host that is busy is not awaited for long."""
        if hub is None:
            return
        try:
            ray.wait([hub.flush.remote(actor_id, FLUSH_S)], timeout=2 * FLUSH_S)
        except ray.exceptions.RayError:  # the session is about to end
            pass

    def stack(self, link: ActorLink, timeout: float) -> str:
        hub = self.calls.hub()
        if hub is None:
            raise ValueError("this session has ended")
        try:
            text: str = ray.get(hub.order.remote(link.actor_id, "stack", (), timeout), timeout=timeout + ORDER_S)
        except ray.exceptions.RayTaskError as error:
            raise TimeoutError(f"the actor has not answered within {timeout:g} s") from error
        return text

    def facts_of(self, link: RayActorLink) -> ActorFacts:
        """Return the facts about an actor. Never blocks."""
        calls = sum(each.actor_id == link.actor_id for each in self.calls.facts())
        return ActorFacts("dead" if link.actor_id in self.objects.died else "", calls=calls)

    def current_actor(self) -> FoundActor:
        if self.hosted is None:
            raise RuntimeError("This method is only available in an actor.")
        meta = self.hosted.actor_meta()
        return self.link(ray.get_runtime_context().current_actor, meta), meta, None

    def hosted_class(self) -> type | None:
        return self.hosted.actor_class() if self.hosted is not None else None

    def exit_actor(self) -> None:
        if self.hosted is None:
            raise TypeError("exit_actor API is called on a non-actor worker, so there is nothing to exit.")
        ray.actor.exit_actor()

    # -------------------------------------------------------------------------------------------------------- tasks

    def submit_task(
        self, function: FunctionMeta, args: tuple[Any, ...], kwargs: dict[str, Any], options: TaskOptions
    ) -> Any:
        export = function.export
        if not isinstance(export, Export) or export.session != ray.get_runtime_context().get_job_id():
            export = function.export = Export(function, options, self.wanted, self.calls.hub_name())
        return self.calls.submit(export.route(options), args, kwargs, function.function)

    # ----------------------------------------------------------------------------------------------------- listings

    def list_named_actors(self, all_namespaces: bool) -> list[tuple[str, str]]:
        from ray.util import list_named_actors  # noqa: PLC0415 - few programs need it

        found = list_named_actors(all_namespaces=all_namespaces)
        if not all_namespaces:
            return [(self.namespace, name) for name in found]
        return [(row["namespace"], row["name"]) for row in found if row["namespace"] != "nbactors"]

    def list_actors(self) -> list[dict[str, Any]]:
        from nbactors.cluster.observing.actor_rows import actor_rows  # noqa: PLC0415 - as above

        return actor_rows()

    def available_resources(self) -> dict[str, float]:
        return dict(ray.available_resources())

    def cluster_resources(self) -> dict[str, float]:
        return dict(ray.cluster_resources())

    def nodes(self) -> list[dict[str, Any]]:
        return list(ray.nodes())

    def metrics(self) -> str:
        from nbactors.cluster.observing.observer import RayObserver  # noqa: PLC0415 - as above

        return RayObserver().metrics()

    # --------------------------------------------------------------------------------------------- placement groups

    def create_group(self, bundles: list[dict[str, float]], strategy: str, name: str, detached: bool) -> bytes:
        from ray.util import placement_group  # noqa: PLC0415 - few programs need it

        lifetime = "detached" if detached else None
        try:
            with translating():
                made = placement_group(bundles, strategy=strategy, name=name, lifetime=lifetime)
        except ValueError as error:
            raise exceptions.RaySystemError(str(error)) from None
        return made.id.binary()  # type: ignore[no-any-return]

    def remove_group(self, group_id: bytes) -> None:
        from ray.util import remove_placement_group  # noqa: PLC0415 - as above

        from nbactors.cluster.creation import group_of  # noqa: PLC0415 - as above

        remove_placement_group(group_of(group_id))

    def group_ready(self, group_id: bytes, handle: Any) -> ObjectRef[Any]:
        worker = ray._private.worker.global_worker
        value = worker.get_serialization_context().serialize(handle)
        ref = worker.core_worker.async_wait_placement_group_ready(ray.PlacementGroupID(group_id), value)
        return self.objects.referring(ref)

    def await_group(self, group_id: bytes, timeout: float) -> str:
        from nbactors.cluster.creation import group_of  # noqa: PLC0415 - as above

        group_of(group_id).wait(timeout)
        return next((facts.state for facts in self.groups() if facts.group_id == group_id), "REMOVED")

    def groups(self) -> list[GroupFacts]:
        from nbactors.cluster.listings import group_facts  # noqa: PLC0415 - as above

        return group_facts()

    def current_group(self) -> bytes:
        found = ray.get_runtime_context().get_placement_group_id()
        return bytes.fromhex(found) if found else b""

    def captures_children(self) -> bool:
        return bool(ray.get_runtime_context().should_capture_child_tasks_in_placement_group)

    def object_store(self) -> tuple[StoreFacts, StoreFacts | None]:
        total = int(ray.cluster_resources().get("object_store_memory", 0))
        free = int(ray.available_resources().get("object_store_memory", 0))
        return StoreFacts(held=max(total - free, 0), limit=total), None

    # ------------------------------------------------------------------------------------------------------ context

    def runtime_facts(self) -> RuntimeFacts:
        context = ray.get_runtime_context()
        in_worker = context.worker.mode == ray.WORKER_MODE
        call = CURRENT.get()
        actor_id = context.get_actor_id() if in_worker else None
        ids = context.get_accelerator_ids() if in_worker else {}
        return RuntimeFacts(
            node_id=bytes.fromhex(context.get_node_id()),
            job_id=bytes.fromhex(context.get_job_id()),
            worker_id=bytes.fromhex(context.get_worker_id()),
            namespace=context.namespace,
            is_driver=not in_worker,
            actor_id=bytes.fromhex(actor_id) if actor_id else b"",
            actor_name=(context.get_actor_name() or "") if actor_id else "",
            task_id=bytes.fromhex(context.get_task_id() or "") if in_worker else b"",
            task_name=call.label if call is not None else "",
            function_name=call.label if call is not None else "",
            assigned_resources=context.get_assigned_resources() if in_worker else {},
            gpu_ids=ids.get("GPU", ()),
            is_canceled=self._is_canceled(call),
            was_restarted=was_restarted() if actor_id else False,
        )

    def _is_canceled(self, call: Call | None) -> bool:
        if call is None:
            return False
        if self.hosted is not None:
            return self.hosted.is_stopped(call.number)
        return bool(ray.get_runtime_context().is_canceled())

    def node_labels(self) -> dict[str, str]:
        return dict(ray.get_runtime_context().get_node_labels())

    def directory(self) -> str:
        return str(ray.get_runtime_context().get_temp_dir())

    def runtime_env(self) -> dict[str, Any]:
        env = dict(ray.get_runtime_context().runtime_env)
        if env.get("py_modules"):
            env["py_modules"] = env["py_modules"][1:]  # the first one is what the session has shipped
        return {name: value for name, value in env.items() if value}

    def describe(self) -> dict[str, Any]:
        context = ray.get_runtime_context()
        return {
            "namespace": context.namespace,
            "job_id": context.get_job_id(),
            "node_id": context.get_node_id(),
            "node_pid": 0,
            "directory": context.get_temp_dir(),
            "python_version": sys.version.split()[0],
            "node_ip_address": ray.util.get_node_ip_address(),
            "address": context.gcs_address,
            "gcs_address": context.gcs_address,
            "session_dir": context.get_session_name(),
            "raylet_socket_name": "",
            "object_store_address": "",
            "redis_address": None,
            "webui_url": "",
            "metrics_export_port": -1,
            "dashboard_agent_listen_port": -1,
            "resources": self.cluster_resources(),
        }

    def shutdown(self) -> None:
        SERIALIZERS.unfollow(_tell_ray)
        MODULES.unfollow(_tell_ray_of_module)
        self.objects.is_over = True
        self.objects.watcher.close()


def _travelling(cls: Any) -> Any:
    """Return what travels in place of a class, or of an object that makes one in the worker.

    cloudpickle sends a decorated class of a module by value, but its methods by name. Then the name of the class in its
    methods would mean another class than that of the instance.
    """
    if not isinstance(cls, type) or cls.__module__ in ray.cloudpickle.list_registry_pickle_by_value():
        return cls
    address = address_of(cls, cls.__module__, cls.__qualname__)
    return ByName(address) if address is not None else cls


def _nothing() -> None:
    return None


def _tell_ray(kind: type, made: Serializer | None) -> None:
    if made is not None:
        ray.util.register_serializer(kind, serializer=made.serializer, deserializer=made.deserializer)
    elif ray.is_initialized():  # the user may have ended the connection
        ray.util.deregister_serializer(kind)


def _tell_ray_of_module(name: str, module: ModuleType | None) -> None:
    if module is not None:
        ray.cloudpickle.register_pickle_by_value(module)
    elif name in ray.cloudpickle.list_registry_pickle_by_value():
        ray.cloudpickle.unregister_pickle_by_value(ModuleType(name))  # only the name counts


def _meta_of_host(instance: Any) -> Any:
    del instance
    return current.of_process().hosted.actor_meta()
