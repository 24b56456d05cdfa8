"""`RayActorLink`: calls to one actor, through its host."""

from __future__ import annotations

import weakref
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from nbactors.actor import ActorHandle
from nbactors.cluster.asides import Aside
from nbactors.cluster.common import current
from nbactors.cluster.host.call import Call
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
    """

    __slots__ = ("_calls", "_facts", "_functions", "_hold", "handle", "meta")

    def __init__(self, calls: Calls, facts: Callable[[RayActorLink], ActorFacts], handle: Any, meta: ActorMeta) -> None:
        self._calls = calls
        self._facts = facts
        self.handle = _weak(handle)
        self._hold: Callable[[], Any] = _nothing
        self.meta = meta
        self.actor_id = handle._actor_id.binary()
        self._functions: dict[tuple[str, CallOptions | None], Any] = {}

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

    def renew(self, meta: ActorMeta) -> None:
        """Take other metadata: those of a changed class."""
        self.meta = meta
        self._functions.clear()

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
        label = (options.name if options is not None else None) or f"{self.meta.class_name}.{method.name}"
        function = self._functions.get((method.name, options))
        if function is None:
            function = self._functions[method.name, options] = self._function(method, options, label)
        return self._calls.submit(
            function,
            Call(method.name, tuple(kwargs), 0, "", label, time() if self._has_events(method, options) else 0.0),
            args,
            kwargs,
            _timeout_s(method, options),
            self.actor_id,
        )

    @staticmethod
    def _has_events(method: MethodMeta, options: CallOptions | None) -> bool:
        """Return whether a call is reported. The runtime's own are not."""
        given = options.enable_task_events if options is not None else None
        return (method.has_events if given is None else given) is not False and method.name not in METHODS

    def _function(self, method: MethodMeta, options: CallOptions | None, label: str) -> Any:
        """Return the function of the host for calls of a method."""
        given = options._asdict() if options is not None else {}

        def option(name: str, default: Any) -> Any:
            return default if given.get(name) is None else given[name]

        num_returns = option("num_returns", method.num_returns)
        them: dict[str, Any] = {"name": label, "num_returns": RETURNS.get(num_returns, num_returns)}
        group = option("concurrency_group", method.group)
        if group == NOW:
            return Aside(self.actor_id, label)
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
        if not method.generates:
            return self.handle.call.options(**them)
        if self.meta.is_async and num_returns != STREAMING:
            wanted = num_returns
            if num_returns == DYNAMIC:
                wanted, them["num_returns"] = -1, 1
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
        return rebuild, (self.handle if hold is None else hold, meta)


class _Gathering(NamedTuple):
    """The host's function `gather` for so many values, called as the other functions are."""

    function: Any
    wanted: int

    def remote(self, spec: bytes, *values: Any) -> Any:
        """Call it. See `AsyncActorHost.gather`."""
        return self.function.remote(spec, self.wanted, *values)


def _timeout_s(method: MethodMeta, options: CallOptions | None) -> float | None:
    return options.timeout_s if options is not None and options.timeout_s is not None else method.timeout_s


def rebuild(handle: Any, meta: ActorMeta) -> Any:
    """Return this process's handle for one of Ray's. Called by `pickle`."""
    link = current.of_process().link(handle, meta)
    return ActorHandle(link, meta, link.hold_of(handle))


def _weak(handle: Any) -> Any:
    """Return a weak handle of Ray's for any."""
    if handle._ray_weak_ref:
        return handle
    return handle._deserialization_helper(handle._serialization_helper()[0], True)


def _nothing() -> None:
    return None
