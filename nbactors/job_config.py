"""`JobConfig`: what `init(job_config=…)` takes. The names are those of `ray.job_config`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbactors.logging_config import LoggingConfig

__all__ = ["JobConfig"]

_LIFETIMES = ("detached", "non_detached")


class JobConfig:
    """The settings of a session in one object. Any thread.

    `init` takes from it what it has no argument of its own for, and warns of what has no effect here.
    Source: Ray's class of this name.

    ::

        nbactors.init(job_config=JobConfig(ray_namespace="shop", runtime_env={"env_vars": {"MODE": "test"}}))

    Args:
        jvm_options, code_search_path: For Java and C++. No effect.
        runtime_env: The default runtime_env of actors and tasks.
        metadata: Texts by name. No effect.
        ray_namespace: The namespace of the session's named actors.
        default_actor_lifetime: "detached" or "non_detached": the lifetime of the session's actors that are created
            without the option `lifetime`.

    Raises:
        TypeError: `runtime_env` is not a dict.
        ValueError: The lifetime is neither "detached" nor "non_detached".
    """

    def __init__(
        self,
        jvm_options: list[str] | None = None,
        code_search_path: list[str] | None = None,
        runtime_env: dict[str, Any] | None = None,
        _client_job: bool = False,
        metadata: dict[str, str] | None = None,
        ray_namespace: str | None = None,
        default_actor_lifetime: str = "non_detached",
        **_more: Any,
    ) -> None:
        self.jvm_options = jvm_options or []
        self.code_search_path = code_search_path or []
        self.metadata = metadata or {}
        self.ray_namespace = ray_namespace
        self.py_logging_config: LoggingConfig | None = None
        self.set_runtime_env(runtime_env)
        self.set_default_actor_lifetime(default_actor_lifetime)

    def set_metadata(self, key: str, value: str) -> None:
        """Set one of the texts."""
        self.metadata[key] = value

    def set_ray_namespace(self, ray_namespace: str) -> None:
        """Set the namespace."""
        self.ray_namespace = ray_namespace

    def set_py_logging_config(self, logging_config: LoggingConfig | None = None) -> None:
        """Set the logging configuration of the workers. `init(logging_config=)` configures the driver, too."""
        self.py_logging_config = logging_config

    def ensure_logging_config(self, logging_config: dict[str, Any] | LoggingConfig | None = None) -> None:
        """Set the logging configuration, unless there is one, or `logging_config` is None.

        Raises:
            TypeError: It is neither a dict nor a LoggingConfig.
            ValueError: The dict has wrong values.
        """
        if logging_config is None or self.py_logging_config is not None:
            return
        from nbactors.logging_config import LoggingConfig  # noqa: PLC0415 - few programs use it

        if isinstance(logging_config, dict):
            logging_config = LoggingConfig.from_dict(logging_config)
        elif not isinstance(logging_config, LoggingConfig):
            raise TypeError(f"logging_config must be a dict or LoggingConfig, got {type(logging_config)}")
        self.set_py_logging_config(logging_config)

    def set_runtime_env(self, runtime_env: dict[str, Any] | None, validate: bool = False) -> None:
        """Set the runtime_env. `init` checks its entries, with `validate` or without.

        Raises:
            TypeError: It is not a dict.
        """
        if runtime_env is not None and not isinstance(runtime_env, dict):
            raise TypeError(f"runtime_env must be a dict or None. Got: {runtime_env!r:.80}")
        self.runtime_env = runtime_env

    def set_default_actor_lifetime(self, default_actor_lifetime: str) -> None:
        """Set the lifetime.

        Raises:
            ValueError: It is neither "detached" nor "non_detached".
        """
        if default_actor_lifetime not in _LIFETIMES:
            raise ValueError(f"default_actor_lifetime must be one of {_LIFETIMES}. Got: {default_actor_lifetime!r:.80}")
        self.default_actor_lifetime = default_actor_lifetime

    @classmethod
    def from_json(cls, job_config_json: dict[str, Any]) -> JobConfig:
        """Return the settings of a dict, as from a job's description in JSON."""
        return cls(
            runtime_env=job_config_json.get("runtime_env"),
            metadata=job_config_json.get("metadata"),
            ray_namespace=job_config_json.get("ray_namespace"),
        )
