"""Calls that wait for no other call of an actor, such as those of `%%on --now`.

Ray has no such calls for an actor whose methods run on the main thread: with a concurrency group of its own for them,
its methods would leave that thread, and could not be interrupted. So a task gives the host an order to begin the call,
on a thread of its own, and asks for its outcome, which is the task's.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from time import sleep
from typing import TYPE_CHECKING, Any

import ray

from nbactors.cluster.common.context import call_number
from nbactors.cluster.common.hubs import hub_named
from nbactors.cluster.host.call import Call
from nbactors.cluster.host.worker import of_process
from nbactors.exceptions import ActorUnavailableError

if TYPE_CHECKING:
    from nbactors.cluster.host.running import Begun, Running

ANSWER_S = 10.0
"""Seconds in which a host answers an order."""

FIRST_LOOK_S, LONGEST_LOOK_S = 0.005, 0.5
"""Seconds between two questions for the outcome: twice as many each time, up to the second number."""

KEPT = 100
"""Outcomes that are kept until the task has asked for them. Those of a task that has died stay."""


class Asides:
    """The calls of one host that run beside the others. Any thread.

    Args:
        running: The calls of the host.
        instance: Returns the user's object.
        raised: Returns what to raise in place of an exception that has left user code.
    """

    def __init__(
        self,
        running: Running,
        instance: Callable[[], Any],
        raised: Callable[[Call, Begun | None, BaseException], BaseException],
    ) -> None:
        self._running = running
        self._instance = instance
        self._raised = raised
        self._outcomes: OrderedDict[bytes, list[Any]] = OrderedDict()

    def begin(self, number: bytes, spec: bytes, packed: list[Any]) -> None:
        """Begin a call, see `run`. Returns at once."""
        call = Call.unpacked(spec, number)
        threading.Thread(target=self._run, args=(call, packed), name=call.label, daemon=True).start()

    def outcome(self, number: bytes) -> list[Any] | None:
        """Return the outcome of a call as a list of Ray's reference to it, None before there is one."""
        return self._outcomes.pop(number, None)

    def _run(self, call: Call, packed: list[Any]) -> None:
        process = of_process()
        process.hub(call.hub)
        token = process.begin(call)
        begun = None
        outcome: tuple[bool, Any]
        try:
            function, *args = ray.get(packed[0])
            begun = self._running.begin(call)
            try:
                value = function(self._instance(), *args)
            finally:
                self._running.end(begun)
        except BaseException as error:  # noqa: BLE001 - user code raises anything
            outcome = (False, self._raised(call, begun, error))
        else:
            outcome = (True, value)
        process.end(call, token)
        try:
            kept = ray.put(outcome)
        except Exception as error:  # noqa: BLE001 - the value cannot be pickled
            kept = ray.put((False, self._raised(call, begun, error)))
        self._outcomes[call.number] = [kept]
        while len(self._outcomes) > KEPT:
            self._outcomes.popitem(last=False)


def run(actor_id: bytes, spec: bytes, function: Callable[..., Any], *args: Any) -> Any:
    """Call `function(instance, *args)` in an actor's process beside its other calls. A task's function.

    Raises:
        ActorUnavailableError: The actor's process does not answer.
    """
    call = Call.unpacked(spec, call_number())
    hub = hub_named(call.hub)
    if hub is None:
        raise ActorUnavailableError("the session of this call has ended", actor_id)
    _order(hub, actor_id, "aside", call.number, spec, [ray.put((function, *args))])
    pause = FIRST_LOOK_S
    while (outcome := _order(hub, actor_id, "aside_outcome", call.number)) is None:
        sleep(pause)
        pause = min(2 * pause, LONGEST_LOOK_S)
    is_value, value = ray.get(outcome[0])
    if is_value:
        return value
    raise value


def _order(hub: Any, actor_id: bytes, name: str, *args: Any) -> Any:
    try:
        return ray.get(hub.order.remote(actor_id, name, args, ANSWER_S))
    except ray.exceptions.RayTaskError as error:
        if not isinstance(error.cause, TimeoutError):
            raise
        raise ActorUnavailableError(
            f"its process has not answered within {ANSWER_S:g} s: it has ended, has not started yet, or code in C "
            "holds the lock of its interpreter",
            actor_id,
        ) from None
