"""The check of the keywords of `init`, including Ray's keywords that nbactors serves, ignores or refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbactors.options import InitOptions
from nbactors.options.checks import check_bool, closest, kind

_THIS_MACHINE = (None, "local", "auto")

# Every value of these keywords is accepted, since they have no effect without a dashboard and a cluster.
_WITHOUT_EFFECT = ("configure_logging", "dashboard_host", "dashboard_port", "logging_format")

# These keywords of Ray are not served. Only the listed values, which have no effect in Ray, are accepted.
_ACCEPTED_VALUES: dict[str, tuple[Any, ...]] = {
    "include_dashboard": (None, False),
    "job_config": (None,),
    "labels": (None, {}),
    "local_mode": (False,),
    "logging_config": (None,),
    "_node_ip_address": (None, "127.0.0.1"),
    "_temp_dir": (None,),
}
_INSTEAD = {
    "include_dashboard": "there is no dashboard; `nbactors status` shows what runs",
    "local_mode": "`local_mode` is no longer supported, as in Ray; call the class or function without `remote` instead",
    "_temp_dir": "the runtime's directory is set by the environment variable NBACTORS_DIR",
}
_SERVED = ("_memory", "_system_config", "logging_level")
_GRACE_KEY = "actor_graceful_shutdown_timeout_ms"
_PARAMETERS = (
    "address",
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
    "resources",
    "runtime_env",
)


def init_options(address: Any, given: Mapping[str, Any], more: Mapping[str, Any]) -> InitOptions:
    """Check all arguments of `init`. Any thread.

    Args:
        address: The argument of that name.
        given: The arguments that are fields of InitOptions.
        more: All other keywords.

    Raises:
        RuntimeError: A keyword is unknown (as in Ray); the message lists the valid keywords.
        TypeError, ValueError: A value has a wrong type, or is not allowed.
    """
    unknown = [name for name in more if name not in (*_SERVED, *_WITHOUT_EFFECT, *_ACCEPTED_VALUES)]
    if unknown:
        valid = sorted([*_PARAMETERS, *_SERVED])
        raise RuntimeError(
            f"Unknown keyword argument(s): {', '.join(unknown)}.{closest(unknown[0], valid)} Valid ones are {valid}"
        )
    if address is not None and not isinstance(address, str):
        raise TypeError(f"address must be None, 'local' or 'auto'. Got {kind(address)}")
    if address not in _THIS_MACHINE:
        raise ValueError(
            f"address={address!r}: this version runs on this machine only. Leave address out, or give 'local' or 'auto'"
        )
    for name, value in more.items():
        if name in _ACCEPTED_VALUES and value not in _ACCEPTED_VALUES[name]:
            instead = _INSTEAD.get(name, "leave it out")
            raise ValueError(f"init({name}={value!r:.80}) is not served by nbactors: {instead}")
    fields = {**given, "memory": more.get("_memory")}
    grace = _graceful_shutdown_s(more.get("_system_config"))
    if grace is not None and given.get("graceful_shutdown_s") is None:
        fields["graceful_shutdown_s"] = grace
    options = InitOptions.parse(fields)
    _set_logging_level(more)
    return options


def _graceful_shutdown_s(system_config: Any) -> float | None:
    if system_config is None:
        return None
    if not isinstance(system_config, dict):
        raise TypeError(f"The _system_config must be a dict. Got {kind(system_config)}")
    unknown = [name for name in system_config if name != _GRACE_KEY]
    if unknown:
        raise ValueError(
            f"_system_config[{unknown[0]!r}] is not served by nbactors. The only valid key is {_GRACE_KEY!r}"
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
