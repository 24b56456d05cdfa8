"""The check of the keywords of `init`, including Ray's keywords that nbactors serves, or that have no effect here."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from nbactors.options import InitOptions
from nbactors.options.checks import check_bool, closest, kind
from nbactors.options.engine_choice import engine_name

# Ray's keywords that have no effect here: the values that ask for what is so anyway, and what to do instead of others.
# None as the values stands for all of them.
_WITHOUT_EFFECT: dict[str, tuple[tuple[Any, ...] | None, str]] = {
    "configure_logging": (None, ""),
    "cgroup_path": ((None,), "limit a call's memory by memory_limit"),
    "dashboard_host": ((None, "127.0.0.1", "localhost"), "there is no dashboard, see `nbactors status`"),
    "dashboard_port": ((None,), "there is no dashboard, see `nbactors status`"),
    "enable_resource_isolation": ((False,), "limit a call's memory by memory_limit"),
    "include_dashboard": ((None, False), "there is no dashboard, see `nbactors status`"),
    "logging_format": ((None,), "configure the logging module yourself"),
    "proxy_server_url": ((None,), "there is no cluster to reach"),
    "system_reserved_cpu": ((None,), "give fewer num_cpus"),
    "system_reserved_memory": ((None,), "give less _memory"),
    "_driver_object_store_memory": ((None,), "give object_store_memory"),
    "_enable_object_reconstruction": (None, ""),
    "_metrics_export_port": ((None,), "see nbactors.util.metrics"),
    "_node_ip_address": ((None, "127.0.0.1", "localhost"), "there is one node, on this machine"),
    "_node_name": ((None,), "there is one node"),
    "_object_spilling_directory": ((None,), "set the environment variable NBACTORS_SPILL_DIR"),
    "_plasma_directory": ((None,), "large values are in shared memory"),
    "_redis_password": ((None, "5241590000000000"), "there is no Redis"),
    "_redis_username": ((None, "default"), "there is no Redis"),
    "_skip_env_hook": (None, ""),
    "_temp_dir": ((None,), "set the environment variable NBACTORS_DIR"),
    "_tracing_startup_hook": ((None,), "see nbactors.timeline"),
}
_OF_JOB_CONFIG = {
    "namespace": "ray_namespace",
    "runtime_env": "runtime_env",
    "logging_config": "py_logging_config",
}
_OF_DASHBOARD = ("dashboard_host", "dashboard_port")
_SERVED = ("_memory", "_system_config", "job_config", "labels", "local_mode", "logging_config", "logging_level")
_GRACE_KEY = "actor_graceful_shutdown_timeout_ms"
_PARAMETERS = (
    "address",
    "engine",
    "graceful_shutdown_s",
    "ignore_reinit_error",
    "ignore_unhandled_errors",
    "log_prefix",
    "log_to_driver",
    "namespace",
    "num_cpus",
    "num_gpus",
    "object_store_memory",
    "on_interrupt",
    "preload",
    "resources",
    "runtime_env",
)


def init_options(address: Any, given: Mapping[str, Any], more: Mapping[str, Any]) -> InitOptions:
    """Check all arguments of `init`, and warn of those without effect. Any thread. `init` must call it directly.

    Args:
        address: The argument of that name.
        given: The arguments that are fields of InitOptions.
        more: All other keywords.

    Raises:
        RuntimeError: A keyword is unknown (as in Ray); the message lists the valid keywords.
        TypeError, ValueError: A value has a wrong type, or is not allowed.
    """
    unknown = [name for name in more if name not in (*_SERVED, *_WITHOUT_EFFECT)]
    if unknown:
        valid = sorted([*_PARAMETERS, *_SERVED])
        raise RuntimeError(
            f"Unknown keyword argument(s): {', '.join(unknown)}.{closest(unknown[0], valid)} Valid ones are {valid}"
        )
    engine = engine_name(given.get("engine"), address)
    if more.get("local_mode", False) is not False:
        raise ValueError(
            f"init(local_mode={more['local_mode']!r:.80}): `local_mode` is no longer supported, as in Ray. Call the "
            "class or function without `remote` instead"
        )
    fields = {**given, "memory": more.get("_memory"), "address": address, "engine": engine}
    fields.update((name, more.get(name)) for name in ("labels", "logging_config"))
    notes = _without_effect(more)
    _add_job_config(fields, more.get("job_config"), notes)
    grace = _graceful_shutdown_s(more.get("_system_config"), notes)
    if grace is not None and given.get("graceful_shutdown_s") is None:
        fields["graceful_shutdown_s"] = grace
    if engine == "ray":  # the cluster checks it
        fields.update(runtime_env=None, given_runtime_env=fields.get("runtime_env"))
        if fields.get("preload"):
            notes["preload"] = "on a cluster each worker imports modules by itself"
    options = InitOptions.parse(fields)
    _set_logging_level(more)
    if notes:
        text = "; ".join(f"{name} ({why})" for name, why in notes.items())
        warnings.warn(f"these arguments of init have no effect in nbactors: {text}", UserWarning, stacklevel=3)
    return options


def _without_effect(more: Mapping[str, Any]) -> dict[str, str]:
    """Return the keywords that ask for what has no effect here, and what to do instead of each."""
    found = {}
    for name, value in more.items():
        accepted, instead = _WITHOUT_EFFECT.get(name, (None, ""))
        if name in _OF_DASHBOARD and more.get("include_dashboard") is False:
            continue
        if accepted is not None and not any(value is one or value == one for one in accepted):
            found[name] = instead
    return found


def _add_job_config(fields: dict[str, Any], job_config: Any, notes: dict[str, str]) -> None:
    """Take over what a JobConfig has, unless `init` has its own."""
    if job_config is None:
        return
    for name, attribute in _OF_JOB_CONFIG.items():
        value = getattr(job_config, attribute, None)
        if fields.get(name) is None and value:
            fields[name] = value
    fields["detaches_actors"] = getattr(job_config, "default_actor_lifetime", None) == "detached"
    for name in ("jvm_options", "code_search_path", "metadata"):
        if getattr(job_config, name, None) not in (None, [], {}):
            notes[f"job_config.{name}"] = "leave it out"


def _graceful_shutdown_s(system_config: Any, notes: dict[str, str]) -> float | None:
    if system_config is None:
        return None
    if not isinstance(system_config, dict):
        raise TypeError(f"The _system_config must be a dict. Got {kind(system_config)}")
    notes.update(
        (f"_system_config[{name!r}]", f"of its keys only {_GRACE_KEY!r} has one")
        for name in system_config
        if name != _GRACE_KEY
    )
    milliseconds = system_config.get(_GRACE_KEY)
    if milliseconds is None:
        return None
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool) or not milliseconds >= 0:
        raise ValueError(f"_system_config[{_GRACE_KEY!r}] must be a number of milliseconds. Got {kind(milliseconds)}")
    return milliseconds / 1000


def _set_logging_level(more: Mapping[str, Any]) -> None:
    check_bool(more, "configure_logging")
    if "logging_level" in more and more.get("configure_logging", True):
        import logging  # noqa: PLC0415 - the import takes 5 ms, and few programs need it

        logging.getLogger("nbactors").setLevel(more["logging_level"])
