"""`ActorHost`: the host of an actor without coroutines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nbactors.cluster.common import actor_records
from nbactors.cluster.common.call_report import KNOWN
from nbactors.cluster.common.context import call_number, was_restarted
from nbactors.cluster.host.call import Call
from nbactors.cluster.host.host import Host
from nbactors.cluster.host.running import Begun
from nbactors.cluster.host.setup import Setup


class ActorHost:
    """The class of Ray's actor for an actor without coroutines; its calls run on the main thread, or on threads."""

    def __init__(self, setup: Setup, *values: Any) -> None:
        self._host = host = Host(setup, _CALLS)
        with host.constructing(setup) as cls:
            args, kwargs = host.process.split(setup.call, values)
            host.built_in.instance = cls(*args, **kwargs)
            if was_restarted():
                host.built_in.resume(actor_records.checkpoint(host.actor_id))

    def call(self, spec: bytes, *values: Any) -> Any:
        """Run a method of the user's object."""
        return _run(self._host, Call.unpacked(spec, call_number()), values)

    def named(self, *values: Any) -> Any:
        """Run the method of the user's object that Ray's name of the call tells."""
        return _run(self._host, self._host.named(KNOWN), values)

    def unlisted(self, *values: Any) -> Any:
        """Do the same as `named`, and do not report the call."""
        return _run(self._host, self._host.named(0.0), values)

    def stream(self, spec: bytes, *values: Any) -> Iterator[Any]:
        """Run a generator of the user's object."""
        host, call = self._host, Call.unpacked(spec, call_number())
        with _Run(host, call) as function:
            args, kwargs = host.process.split(call, values)
            items = function(*args, **kwargs)
            # Not `yield from`: Ray sends values into the generator, which are not meant for the user's.
            for item in items:
                yield item
                if host.is_over(call.number):
                    items.close()
                    break

    def __ray_shutdown__(self) -> None:
        """Called by Ray when the actor ends on purpose."""
        self._host.shut_down()

    def __repr__(self) -> str:
        return f"Host({type(self).__name__})"


def _run(host: Host, call: Call, values: tuple[Any, ...]) -> Any:
    with _Run(host, call) as function:
        args, kwargs = host.process.split(call, values)
        return function(*args, **kwargs)


class _Run:
    """Runs a call of a host within its `with` block, and replaces what leaves it.

    It is no generator of `contextmanager`, which no StopIteration can leave.
    """

    def __init__(self, host: Host, call: Call) -> None:
        self._host = host
        self._call = call
        self._begun: Begun | None = None
        self._has_entered = False

    def __enter__(self) -> Callable[..., Any]:
        host, call = self._host, self._call
        host.process.hub(call.hub)  # for orders of the session
        self._token = host.process.begin(call)
        try:
            host.alone.enter(call.method)
            self._has_entered = True
            self._begun = host.running.begin(call)
            return host.function(call)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(self, kind: object, error: BaseException | None, frames: object) -> None:
        host, call = self._host, self._call
        raised = None
        try:
            if self._begun is not None:
                host.running.end(self._begun)
            if self._has_entered:
                host.alone.leave(call.method)
            if error is None:
                raised = host.dropping(self._begun)
            elif not isinstance(error, GeneratorExit):
                raised = host.raised(call, self._begun, error)
        finally:
            host.process.end(call, self._token, raised)
        if raised is not None:
            raise raised from None


_CALLS = frozenset((_run.__code__, ActorHost.stream.__code__))
"""See `Host`."""
