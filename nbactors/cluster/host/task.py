"""The functions of tasks, as Ray gets them: each wraps the user's function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import ray

from nbactors.cluster.common.call_names import read_name
from nbactors.cluster.common.call_report import KNOWN
from nbactors.cluster.common.context import call_name, call_number
from nbactors.cluster.host.call import Call
from nbactors.cluster.host.failures import cancelled, failure
from nbactors.cluster.host.wakeup import Wakeup
from nbactors.cluster.host.worker import of_process

_wakeup = Wakeup()


class Facts(NamedTuple):
    """What all calls of a function share.

    Attributes:
        name: The name of the function.
        hub: The name of the hub of the session whose calls may come without facts.
        mark: What begins the first value of a call that tells its facts itself.
    """

    name: str
    hub: str
    mark: bytes

    def of(self, values: tuple[Any, ...]) -> tuple[Call, tuple[Any, ...]]:
        """Return the call that runs the calling code, and the user's arguments."""
        first = values[0] if values else None
        if type(first) is bytes and first.startswith(self.mark):
            return Call.unpacked(first[len(self.mark) :], call_number()), values[1:]
        label, cell = read_name(call_name())
        return Call(self.name, (), cell, self.hub, label, KNOWN, b"", "", call_number()), values


def plain(function: Callable[..., Any], facts: Facts) -> Callable[..., Any]:
    """Return what Ray runs for a function."""

    def task(*values: Any) -> Any:
        call, values = facts.of(values)
        with _Run(call):
            args, kwargs = of_process().split(call, values)
            return function(*args, **kwargs)

    return task


def generating(function: Callable[..., Any], facts: Facts) -> Callable[..., Any]:
    """Return what Ray runs for a generator function."""

    def task(*values: Any) -> Iterator[Any]:
        call, values = facts.of(values)
        with _Run(call):
            args, kwargs = of_process().split(call, values)
            for item in function(*args, **kwargs):  # noqa: UP028 - Ray sends values, which are not meant for the user
                yield item

    return task


class _Run:
    """Runs a call within its `with` block, and replaces what leaves it.

    It is no generator of `contextmanager`, which no StopIteration can leave.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._process = of_process()

    def __enter__(self) -> None:
        _wakeup.listen()
        self._process.label = self._call.method
        self._token = self._process.begin(self._call)

    def __exit__(self, kind: object, error: BaseException | None, frames: object) -> None:
        raised = self._raised(error)
        self._process.end(self._call, self._token, raised)
        if raised is not None:
            raise raised from None

    def _raised(self, error: BaseException | None) -> BaseException | None:
        """Return what to raise in place of an exception that has left user code; None to raise nothing else."""
        if error is None or isinstance(error, SystemExit | GeneratorExit):  # Ray ends a worker by the first of these
            return None
        if isinstance(error, KeyboardInterrupt) and ray.get_runtime_context().is_canceled():
            return cancelled(self._call.label, ray.get_runtime_context().get_task_id() or "", error)
        return failure(self._call, error)
