"""`RayActorLink`: calls to one actor, through its host."""

from __future__ import annotations

import inspect
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ray.util.tracing import tracing_helper

from nbactors.actor import ActorHandle
from nbactors.cluster.asides import Aside
from nbactors.cluster.common import current
from nbactors.cluster.common.call_names import name_of
from nbactors.cluster.route import Route
from nbactors.definitions.hooks import METHODS, NOW
from nbactors.definitions.metadata import DYNAMIC, STREAMING, UNLIMITED
from nbactors.engine.base import ActorLink
from nbactors.views.summaries import ActorFacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbactors.cluster.calls import Calls
    from nbactors.definitions.metadata import ActorMeta, MethodMeta
    from nbactors.options import CallOptions

RETURNS = {STREAMING: "streaming", DYNAMIC: "dynamic"}


class RayActorLink(ActorLink):
    """This process's tie to one actor. Any thread.

    A strong handle of Ray's is the hold on the actor: Ray counts it. The link has a weak one, by which it makes all
    calls. Ray itself keeps an actor until the calls of its creator have ended.

    Args:
        calls: The calls of this process.
        facts: Returns what this process knows of the actor.
        handle: Ray's handle of the host.
        meta: The metadata of the user's class.

    Attributes:
        handle: Ray's weak handle of the host.
        home: The name of the hub of the session that the actor was created for; empty if it is not known here.
        arguments: Ray's references that a restart of the actor gives again. Ray itself keeps them on one node only.
    """

    __slots__ = ("_calls", "_facts", "_hold", "_routes", "arguments", "handle", "home", "meta")

    def __init__(self, calls: Calls, facts: Callable[[RayActorLink], ActorFacts], handle: Any, meta: ActorMeta) -> None:
        self._calls = calls
        self._facts = facts
        self.handle = _weak(handle)
        self._hold: Callable[[], Any] = _nothing
        self.meta = meta
        self.actor_id = handle._actor_id.binary()
        self.home = ""
        self.arguments: list[Any] = []
        self._routes: dict[tuple[str, CallOptions | None], Route] = {}

    def hold_of(self, handle: Any) -> Any:
        """Return the hold that one of Ray's handles to the actor is, None for a weak one."""
        if handle._ray_weak_ref:
            return None
        held = self._hold()
        if held is None:
            held, self._hold = handle, weakref.ref(handle)
        return held

    def hold(self) -> Any:
        """Return a hold of this process, None if it has none."""
        return self._hold()

    def learn_home(self, home: str) -> None:
        """Take the actor's home, if it was not known here."""
        if not self.home:
            self.home = home
            self._routes.clear()

    def renew(self, meta: ActorMeta) -> None:
        """Take other metadata: those of a changed class."""
        self.meta = meta
        self._routes.clear()

    def call(
        self,
        method: MethodMeta,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions | None,
        hold: object = None,
    ) -> Any:
        """See `ActorLink.call`. Ray keeps what a call needs."""
        del hold
        route = self._routes.get((method.name, options))
        if route is None:
            route = self._routes[method.name, options] = self._route(method, options)
        return self._calls.submit(route, args, kwargs)

    @staticmethod
    def _has_events(method: MethodMeta, options: CallOptions | None) -> bool:
        """Return whether a call is reported. The runtime's own are not."""
        given = options.enable_task_events if options is not None else None
        return (method.has_events if given is None else given) is not False and method.name not in METHODS

    def _route(self, method: MethodMeta, options: CallOptions | None) -> Route:
        """Return the way of calls of a method."""
        usual = f"{self.meta.class_name}.{method.name}"
        label = (options.name if options is not None else None) or usual
        is_reported = self._has_events(method, options)
        them = self._ray_options(method, options, label)
        is_named = (
            label == usual
            and not method.generates
            and them.get("concurrency_group", "") == (method.group or "")  # the host knows the method's own
            and method.group != NOW
            and method.name not in METHODS
        )

        def named(cell: int) -> Any:
            return _Named(self.handle, "named" if is_reported else "unlisted", {**them, "name": name_of(label, cell)})

        return Route(
            method.name,
            label,
            self._telling(method, them),
            named if is_named else None,
            home=self.home,
            is_reported=is_reported,
            actor_id=self.actor_id,
            group=them.get("concurrency_group", ""),
            timeout_s=_timeout_s(method, options),
        )

    @staticmethod
    def _ray_options(method: MethodMeta, options: CallOptions | None, label: str) -> dict[str, Any]:
        """Return Ray's options of the calls of a method."""
        given = options._asdict() if options is not None else {}

        def option(name: str, default: Any) -> Any:
            return default if given.get(name) is None else given[name]

        num_returns = option("num_returns", method.num_returns)
        them: dict[str, Any] = {"name": label, "num_returns": RETURNS.get(num_returns, num_returns)}
        group = option("concurrency_group", method.group)
        if group:
            them["concurrency_group"] = group
        retries = option("max_task_retries", method.max_task_retries)
        if method.name in METHODS:
            retries = 0
        if retries is not None:
            them["max_task_retries"] = retries
        retried = option("retry_exceptions", method.retry_exceptions)
        if retried:
            them["retry_exceptions"] = list(retried) if isinstance(retried, tuple) else True
        backpressure = option("backpressure", method.backpressure)
        if backpressure != UNLIMITED and num_returns == STREAMING:
            them["_generator_backpressure_num_objects"] = backpressure
        events = option("enable_task_events", method.has_events)
        if events is not None:
            them["enable_task_events"] = events
        return them

    def _telling(self, method: MethodMeta, them: dict[str, Any]) -> Any:
        """Return Ray's function for calls of a method that takes their facts as its first argument."""
        if them.get("concurrency_group") == NOW:
            return Aside(self.actor_id, them["name"])
        if not method.generates:
            return self.handle.call.options(**them)
        num_returns = them["num_returns"]
        if self.meta.is_async and num_returns != RETURNS[STREAMING]:
            wanted = num_returns
            if num_returns == RETURNS[DYNAMIC]:
                wanted, them = -1, {**them, "num_returns": 1}
            return _Gathering(self.handle.gather.options(**them), wanted)
        return self.handle.stream.options(**them)

    def facts(self) -> ActorFacts:
        """See `ActorLink.facts`."""
        return self._facts(self)

    def latest_meta(self, meta: ActorMeta) -> ActorMeta:
        """See `ActorLink.latest_meta`."""
        del meta
        return self.meta

    def reduce(self, meta: ActorMeta, hold: object = None) -> tuple[Any, ...]:
        """See `ActorLink.reduce`. Ray counts its own handle inside, which knows whether it is weak."""
        return rebuild, (self.handle if hold is None else hold, meta, self.home)


class _Named:
    """A function of the host that takes the user's arguments only, called as the other functions are.

    A call without arguments skips what Ray does for arguments, for decorators and for traces: that takes as long as all
    that this engine does for a call.
    """

    __slots__ = ("_bare", "_usual")

    def __init__(self, handle: Any, name: str, options: dict[str, Any]) -> None:
        self._usual = getattr(handle, name).options(**options)
        self._bare = _bare(handle, name, options)

    def remote(self, *values: Any) -> Any:
        """Call it."""
        return self._usual.remote(*values) if values or self._bare is None else self._bare()


_TAKEN = {
    "name",
    "num_returns",
    "max_task_retries",
    "retry_exceptions",
    "concurrency_group_name",
    "enable_task_events",
}
"""The parameters of Ray's `_actor_method_call` that `_bare` gives."""


def _bare(handle: Any, name: str, options: dict[str, Any]) -> Callable[[], Any] | None:
    """Return what calls a function of the host without arguments; None if this version of Ray has no such way."""
    call = getattr(type(handle), "_actor_method_call", None)
    is_known = call is not None and inspect.signature(call).parameters.keys() >= _TAKEN
    if not is_known or not hasattr(handle, "_ray_method_signatures") or tracing_helper._is_tracing_enabled():
        return None
    copied = _copy(handle)
    copied._ray_method_signatures = {**handle._ray_method_signatures, name: []}
    method = getattr(handle, name)
    given = {
        "name": options["name"],
        "num_returns": options["num_returns"],
        "max_task_retries": options.get("max_task_retries", method._max_task_retries) or 0,
        "retry_exceptions": options.get("retry_exceptions", method._retry_exceptions),
        "concurrency_group_name": options.get("concurrency_group"),
        "enable_task_events": options.get("enable_task_events", method._enable_task_events),
    }
    return partial(copied._actor_method_call, name, **given)


class _Gathering(NamedTuple):
    """The host's function `gather` for so many values, called as the other functions are."""

    function: Any
    wanted: int

    def remote(self, spec: bytes, *values: Any) -> Any:
        """Call it. See `AsyncActorHost.gather`."""
        return self.function.remote(spec, self.wanted, *values)


def _timeout_s(method: MethodMeta, options: CallOptions | None) -> float | None:
    return options.timeout_s if options is not None and options.timeout_s is not None else method.timeout_s


def rebuild(handle: Any, meta: ActorMeta, home: str) -> Any:
    """Return this process's handle for one of Ray's. Called by `pickle`. `home`: that of the link."""
    link = current.of_process().link(handle, meta)
    link.learn_home(home)
    return ActorHandle(link, meta, link.hold_of(handle))


def _weak(handle: Any) -> Any:
    """Return a weak handle of Ray's for any."""
    return handle if handle._ray_weak_ref else _copy(handle)


def _copy(handle: Any) -> Any:
    """Return another handle of Ray's for an actor, a weak one."""
    return handle._deserialization_helper(handle._serialization_helper()[0], True)


def _nothing() -> None:
    return None
