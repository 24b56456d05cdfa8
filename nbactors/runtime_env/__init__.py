"""`RuntimeEnv` and `RuntimeEnvConfig`: Ray's classes for what a worker gets before it runs user code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


class RuntimeEnvConfig(dict[str, Any]):
    """How a runtime_env is set up: its entry "config". A dict, as in Ray. Any thread.

    Example: `RuntimeEnvConfig(setup_timeout_seconds=60)`.

    Args:
        setup_timeout_seconds: Limit of the installation of packages, in seconds; -1 for no limit.
        eager_install: No effect: an environment is made at the first use of the runtime_env.
        log_files: No effect: an error contains all that the installer has written.

    Raises:
        TypeError, ValueError: `setup_timeout_seconds` is no number, or is neither positive nor -1.
    """

    def __init__(
        self, setup_timeout_seconds: int = 600, eager_install: bool = True, log_files: list[str] | None = None
    ) -> None:
        super().__init__(
            setup_timeout_seconds=setup_timeout_seconds, eager_install=eager_install, log_files=log_files or []
        )
        from nbactors.runtime_env import worker_setup  # noqa: PLC0415 - it imports nothing that programs need early

        worker_setup.timeout_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict. Any thread."""
        return dict(self)


class RuntimeEnv(dict[str, Any]):
    """A runtime_env whose values are checked when it is made. A dict, as in Ray. Any thread.

    A plain dict does as well. Example: `init(runtime_env=RuntimeEnv(env_vars={"MODE": "test"}, pip=["tabulate"]))`.
    What each entry does is on the page docs/runtime-env.md. Source: Ray's page "ray.runtime_env.RuntimeEnv".

    Args:
        env_vars: Environment variables.
        working_dir: Path of a directory or a .zip file.
        py_modules: Paths of package directories, .py files, .zip files and .whl files, or modules.
        excludes: Patterns of files in these directories that workers do not see, as in a .gitignore file.
        pip: Requirements, the path of a requirements file, or a dict with "packages".
        uv: The same for uv.
        worker_process_setup_hook: A function without parameters, or its dotted name.
        config: A RuntimeEnvConfig or a dict with the same keys.
        **unserved: Ray's further entries. They must be None.

    Raises:
        TypeError, ValueError: A value has a wrong type or is not allowed, a path does not exist, or an entry is unknown
            or not served.
    """

    def __init__(
        self,
        *,
        env_vars: dict[str, str] | None = None,
        working_dir: Any = None,
        py_modules: Sequence[Any] | None = None,
        excludes: list[str] | None = None,
        pip: Any = None,
        uv: Any = None,
        worker_process_setup_hook: Any = None,
        config: dict[str, Any] | None = None,
        **unserved: Any,
    ) -> None:
        given = {
            "env_vars": env_vars,
            "working_dir": working_dir,
            "py_modules": py_modules,
            "excludes": excludes,
            "pip": pip,
            "uv": uv,
            "worker_process_setup_hook": worker_process_setup_hook,
            "config": config,
            **unserved,
        }
        super().__init__({name: value for name, value in given.items() if value is not None})
        from nbactors.runtime_env.worker_setup import WorkerSetup  # noqa: PLC0415 - as above

        WorkerSetup.parse(self)

    def __setitem__(self, name: str, value: Any) -> None:
        """Check an entry, and set it. Raises TypeError and ValueError as the constructor does."""
        from nbactors.runtime_env.worker_setup import WorkerSetup  # noqa: PLC0415 - as above

        WorkerSetup.parse({name: value})
        super().__setitem__(name, value)

    def set(self, name: str, value: Any) -> None:
        """Check an entry, and set it. Raises TypeError and ValueError as the constructor does."""
        self[name] = value

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict. Any thread."""
        return dict(self)

    def serialize(self) -> str:
        """Return the entries as JSON, whose keys are sorted.

        Raises:
            TypeError: An entry is no text, number, list or dict, as a function for `worker_process_setup_hook`.
        """
        return json.dumps(self, sort_keys=True)

    @classmethod
    def deserialize(cls, serialized_runtime_env: str) -> RuntimeEnv:
        """Return the RuntimeEnv that `serialize` has made a text of. Raises as the constructor does."""
        return cls(**json.loads(serialized_runtime_env))

    def env_vars(self) -> dict[str, str]:
        """Return the environment variables."""
        found: dict[str, str] = self.get("env_vars", {})
        return found

    def working_dir(self) -> Any:
        """Return the path of the working directory, "" without one."""
        return self.get("working_dir", "")

    def has_working_dir(self) -> bool:
        """Return whether there is a working directory."""
        return self.get("working_dir") is not None

    def working_dir_uri(self) -> Any:
        """Return the path of the working directory, None without one. Nothing is uploaded, so there is no other URI."""
        return self.get("working_dir")

    def py_modules(self) -> list[Any]:
        """Return the paths and modules that workers can import."""
        return list(self.get("py_modules", ()))

    def py_modules_uris(self) -> list[Any]:
        """Return the same as `py_modules`: nothing is uploaded, so there are no other URIs."""
        return self.py_modules()

    def has_pip(self) -> bool:
        """Return whether pip installs packages."""
        return bool(self.get("pip"))

    def pip_config(self) -> Any:
        """Return the list or dict of the packages for pip; {} without one, and for the path of a requirements file."""
        return {} if not self.has_pip() or isinstance(self["pip"], str) else self["pip"]

    def has_uv(self) -> bool:
        """Return whether uv installs packages."""
        return bool(self.get("uv"))

    def uv_config(self) -> Any:
        """Return the list or dict of the packages for uv; {} without one, and for the path of a requirements file."""
        return {} if not self.has_uv() or isinstance(self["uv"], str) else self["uv"]

    def has_conda(self) -> bool:
        """Return False: no RuntimeEnv with "conda" can be made."""
        return False

    def has_py_container(self) -> bool:
        """Return False: no RuntimeEnv with "container" can be made."""
        return False
