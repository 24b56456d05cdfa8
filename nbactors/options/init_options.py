"""The options of `init`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from nbactors.limits import MAX_GPUS, MAX_SECONDS
from nbactors.options import default_namespace
from nbactors.options.checks import check_bool, check_text, kind, quantity, resource_map
from nbactors.options.labels import check_labels
from nbactors.runtime_env.worker_setup import WorkerSetup

MAX_PRELOADED = 1000

_NOTHING: Mapping[str, Any] = {}


class InitOptions(NamedTuple):
    """The checked options of a session.

    Attributes:
        namespace: None for the default, see `namespace_or_default`.
        num_cpus, num_gpus, memory, object_store_memory: None to detect; the last two in bytes.
        resources: Amounts of custom resources.
        log_to_driver: Whether the session shows the output of its workers; None for what the environment variable says,
            see `shows_output`.
        log_prefix: Whether each line of this output begins with its origin.
        graceful_shutdown_s: Seconds that an actor may take for a graceful shutdown.
        runtime_env: Default runtime_env of the session's actors and tasks.
        on_interrupt: None for the default, see `cancels_on_interrupt`.
        ignore_unhandled_errors: Whether errors that no code reads are not reported; None for what the environment
            variable says.
        address: The given address: None, "local", "auto", or that of a Ray cluster.
        engine: "local" or "ray".
        given_runtime_env: The runtime_env as it was given, for a cluster, which checks it itself. Then `runtime_env` is
            None.
        logging_config: The LoggingConfig of the workers; None for none.
        labels: Labels of the node, which options demand.
        preload: Names of modules that the session's workers share, each once.
        detaches_actors: Whether actors without the option `lifetime` are detached.
    """

    namespace: str | None = None
    num_cpus: float | None = None
    num_gpus: float | None = None
    resources: Mapping[str, float] = _NOTHING
    memory: int | None = None
    object_store_memory: int | None = None
    log_to_driver: bool | None = None
    log_prefix: bool = True
    graceful_shutdown_s: float = 30.0
    runtime_env: WorkerSetup | None = None
    on_interrupt: str | None = None
    ignore_unhandled_errors: bool | None = None
    address: str | None = None
    engine: str = "local"
    given_runtime_env: Mapping[str, Any] | None = None
    logging_config: Any = None
    detaches_actors: bool = False
    labels: Mapping[str, str] = _NOTHING
    preload: tuple[str, ...] = ()

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> InitOptions:
        """Check the arguments of `init` that are fields of this class. None stands for the default.

        Raises:
            TypeError, ValueError: See `ActorOptions.parse`.
        """
        seconds, num_gpus = quantity(given, "graceful_shutdown_s"), quantity(given, "num_gpus")
        if seconds is not None and seconds > MAX_SECONDS:
            raise ValueError(f"graceful_shutdown_s cannot be more than {MAX_SECONDS:.0f} (a week). Got: {seconds}")
        if num_gpus is not None and num_gpus > MAX_GPUS:
            raise ValueError(f"num_gpus of a session cannot be more than {MAX_GPUS}. Got: {num_gpus}")
        for name in ("log_to_driver", "log_prefix", "ignore_unhandled_errors"):
            if given.get(name) is not None:
                check_bool(given, name)
        memory, object_store_memory = quantity(given, "memory"), quantity(given, "object_store_memory")
        return cls(
            namespace=check_text(given, "namespace", blank_allowed=False),
            num_cpus=quantity(given, "num_cpus"),
            num_gpus=num_gpus,
            resources=resource_map(given),
            memory=None if memory is None else int(memory),
            object_store_memory=None if object_store_memory is None else int(object_store_memory),
            log_to_driver=given.get("log_to_driver"),
            log_prefix=_log_prefix(given),
            graceful_shutdown_s=30.0 if seconds is None else float(seconds),
            runtime_env=WorkerSetup.parse(given.get("runtime_env")),
            on_interrupt=_on_interrupt(given),
            ignore_unhandled_errors=given.get("ignore_unhandled_errors"),
            address=given.get("address"),
            engine=given.get("engine") or "local",
            given_runtime_env=_dict_of(given.get("given_runtime_env")),
            logging_config=_logging_config(given),
            detaches_actors=given.get("detaches_actors", False),
            labels=check_labels(given, "labels"),
            preload=_preload(given.get("preload")),
        )

    def shows_output(self) -> bool:
        """Return whether the session shows the output of its workers: as given, else as RAY_LOG_TO_DRIVER says."""
        if self.log_to_driver is not None:
            return self.log_to_driver
        said = os.environ.get("RAY_LOG_TO_DRIVER", "")
        return not said or said.lower() in ("1", "true")

    def cancels_on_interrupt(self) -> bool:
        """Return whether an interrupt cancels the calls that the interrupted code waits for.

        By default it does in a notebook and in IPython, where users interrupt a cell to stop its work. By default it
        does not in a script, as in Ray.
        """
        if self.on_interrupt is not None:
            return self.on_interrupt == "cancel"
        shells = sys.modules.get("IPython")
        return shells is not None and shells.get_ipython() is not None

    def namespace_or_default(self) -> str:
        """Return the namespace: the given one, in a notebook that of the notebook, else "" for an anonymous one."""
        return self.namespace if self.namespace is not None else default_namespace.name()


def _dict_of(given: Any) -> Mapping[str, Any] | None:
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"The type of keyword 'runtime_env' must be dict or None, but received type {kind(given)}")
    return given


def _log_prefix(given: Mapping[str, Any]) -> bool:
    """Return whether lines have a prefix: as given, else unless log records tell where they come from, as in Ray."""
    value = given.get("log_prefix")
    return not given.get("logging_config") if value is None else bool(value)


def _logging_config(given: Mapping[str, Any]) -> Any:
    value = given.get("logging_config") or None
    # The check is by the class's name, since this module may not import the class, a higher room.
    if value is not None and type(value).__name__ != "LoggingConfig":
        raise TypeError(f"logging_config must be a LoggingConfig or None. Got {kind(value)}")
    return value


def _preload(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f'preload must be a list of names of modules, such as ["numpy"]. Got {kind(given)}')
    names = tuple(dict.fromkeys(given))
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"preload must be a list of names of modules. One is {kind(name)}")
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"preload must be a list of names of modules, as after `import`. Got {name!r:.80}")
    if len(names) > MAX_PRELOADED:
        raise ValueError(f"preload must have at most {MAX_PRELOADED} modules. Got {len(names)}")
    return names


def _on_interrupt(given: Mapping[str, Any]) -> str | None:
    value = check_text(given, "on_interrupt")
    if value not in (None, "cancel", "detach"):
        raise ValueError(
            f'on_interrupt must be "cancel", so that an interrupt cancels the calls waited for, or "detach", so that '
            f"they go on. Got {value!r}"
        )
    return value
