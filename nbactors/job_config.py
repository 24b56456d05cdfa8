"""`JobConfig`: what `init(job_config=…)` takes. The names are those of `ray.job_config`."""

from __future__ import annotations

from typing import Any

__all__ = ["JobConfig"]

_LIFETIMES = ("detached", "non_detached")


class JobConfig:
    """The settings of a session in one object. Any thread.

    `init` takes the namespace and the runtime_env from it, unless it has arguments of its own for them, and warns of
    what has no effect here. Source: Ray's class of this name.

    ::

        nbactors.init(job_config=JobConfig(ray_namespace="shop", runtime_env={"env_vars": {"MODE": "test"}}))

    Args:
        jvm_options, code_search_path: For Java and C++. No effect.
        runtime_env: The default runtime_env of actors and tasks.
        metadata: Texts by name. No effect.
        ray_namespace: The namespace of the session's named actors.
        default_actor_lifetime: "non_detached". No effect if it is "detached": give `lifetime="detached"` to the actors.

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
        self.set_runtime_env(runtime_env)
        self.set_default_actor_lifetime(default_actor_lifetime)

    def set_metadata(self, key: str, value: str) -> None:
        """Set one of the texts."""
        self.metadata[key] = value

    def set_ray_namespace(self, ray_namespace: str) -> None:
        """Set the namespace."""
        self.ray_namespace = ray_namespace

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
