"""`Export`: a remote function as Ray has it. A worker unpickles the user's function once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import ray

from nbactors.cluster.common.call_names import name_of
from nbactors.cluster.creation import shared
from nbactors.cluster.host import task
from nbactors.cluster.link import RETURNS
from nbactors.cluster.route import Route
from nbactors.definitions.metadata import STREAMING, UNLIMITED

if TYPE_CHECKING:
    from nbactors.cluster.wanted import Wanted
    from nbactors.definitions.metadata import FunctionMeta
    from nbactors.options import TaskOptions

_PASSED = ("accelerator_type", "fallback_strategy", "label_selector", "memory", "resources", "enable_task_events")


class Export:
    """A function in one session. Any thread.

    Args:
        function: The function's metadata.
        options: The options that it was made with.
        wanted: Told of the amounts that the tasks ask for; None in a worker.
        hub: The name of the hub of the session that makes it.

    Attributes:
        session: The id of the session.
    """

    def __init__(self, function: FunctionMeta, options: TaskOptions, wanted: Wanted | None, hub: str) -> None:
        self._name = function.name
        self._generates = function.generates
        self._wanted = wanted
        self._hub = hub
        self._mark = os.urandom(16)
        facts = task.Facts(function.name, hub, self._mark)
        made = (task.generating if function.generates else task.plain)(function.function, facts)
        made.__name__ = made.__qualname__ = function.name
        made.__module__ = "__main__"
        self.session = ray.get_runtime_context().get_job_id()
        self._remote = ray.remote(max_calls=options.max_calls)(made)
        self._routes: dict[int, tuple[TaskOptions, Route]] = {}

    def route(self, options: TaskOptions) -> Route:
        """Return the way of tasks with these options."""
        found = self._routes.get(id(options))
        if found is None:
            if len(self._routes) > 100:
                self._routes.clear()
            given = _ray_options(options)
            if self._wanted is not None:
                self._wanted.note(self._name, given)
            is_reported = bool(options.enable_task_events)

            def named(cell: int) -> Any:
                return self._remote.options(**given, name=name_of(self._name, cell))

            route = Route(
                self._name,
                options.name or self._name,
                self._remote.options(**given),
                named if is_reported and not options.name and not self._generates else None,
                home=self._hub,
                mark=self._mark,
                is_reported=is_reported,
                timeout_s=options.timeout_s,
            )
            found = self._routes[id(options)] = (options, route)
        return found[1]


def _ray_options(options: TaskOptions) -> dict[str, Any]:
    found: dict[str, Any] = {name: options.given[name] for name in _PASSED if options.given.get(name) is not None}
    found.update(shared(options))
    found["num_cpus"] = options.num_cpus
    if options.num_gpus:
        found["num_gpus"] = options.num_gpus
    found["num_returns"] = RETURNS.get(options.num_returns, options.num_returns)
    found["max_retries"] = options.max_retries
    retried = options.retry_exceptions
    if retried:
        found["retry_exceptions"] = list(retried) if isinstance(retried, tuple) else True
    if options.name:
        found["name"] = options.name
    if options.backpressure != UNLIMITED and options.num_returns == STREAMING:
        found["_generator_backpressure_num_objects"] = options.backpressure
    return found
