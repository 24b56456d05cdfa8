"""`RuntimeEnv`: the fields of Ray's runtime_env that make sense on one machine."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

from nbactors.limits import MAX_ENVIRONMENT

_NOTHING: Mapping[str, str] = {}
_SERVED = ("env_vars", "working_dir", "py_modules")


class RuntimeEnv(NamedTuple):
    """The environment that a worker gets before it runs user code. Any thread.

    Example: `init(runtime_env={"env_vars": {"MODE": "test"}})`. Source: Ray's page "Environment Dependencies".

    Attributes:
        env_vars: Environment variables. They replace variables of the session of the same name.
        working_dir: Absolute path of the worker's working directory, which is also on `sys.path`; empty for the
            session's working directory.
        py_modules: Absolute paths of package directories and .py files that can be imported by their own name: the
            worker adds the parent directory of each to `sys.path`.
    """

    env_vars: Mapping[str, str] = _NOTHING
    working_dir: str = ""
    py_modules: tuple[str, ...] = ()

    @classmethod
    def parse(cls, given: Any) -> RuntimeEnv | None:
        """Check the user's runtime_env: None, a dict, or a RuntimeEnv. Return None if it has no entries.

        Raises:
            TypeError: A value has a wrong type.
            ValueError: A key is not served, or a path does not exist.
        """
        if given is None:
            return None
        if isinstance(given, RuntimeEnv):  # users may create one without `parse`, so its values are not checked yet
            given = {
                "env_vars": given.env_vars,
                "working_dir": given.working_dir or None,
                "py_modules": given.py_modules,
            }
        if not isinstance(given, Mapping):
            raise TypeError(
                "The type of keyword 'runtime_env' must be dict or None, but received type "
                f"{type(given).__name__}: {given!r:.80}"
            )
        for key in given:
            if key not in _SERVED:
                raise ValueError(
                    f"runtime_env[{key!r}] is not served: workers run in the session's own Python environment, so "
                    f"install what they need there. Valid keys are {list(_SERVED)}"
                )
        result = cls(
            _env_vars(given.get("env_vars")),
            _working_dir(given.get("working_dir")),
            _py_modules(given.get("py_modules")),
        )
        return None if result == cls() else result

    def over(self, outer: RuntimeEnv | None) -> RuntimeEnv:
        """Return this runtime_env over an inherited one. As in Ray variables are merged, and other fields replaced."""
        if outer is None:
            return self
        return RuntimeEnv(
            {**outer.env_vars, **self.env_vars},
            self.working_dir or outer.working_dir,
            self.py_modules or outer.py_modules,
        )


def _env_vars(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(
            "runtime_env['env_vars'] must be of type Dict[str, str], but received "
            f"{type(given).__name__}: {given!r:.80}"
        )
    for name, value in given.items():
        for part, what in ((name, "key"), (value, "value")):
            if not isinstance(part, str):
                raise TypeError(
                    f"runtime_env['env_vars'] must be of type Dict[str, str], but the {what} {part!r} is of type "
                    f"{type(part)}"
                )
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"runtime_env['env_vars']: {name!r} is not the name of an environment variable")
        try:
            os.fsencode(name + value)
        except UnicodeEncodeError as error:
            raise ValueError(
                f"runtime_env['env_vars']: {name!r} has a character that the system's encoding lacks ({error})"
            ) from None
    size = sum(len(name) + len(value) for name, value in given.items())
    if size > MAX_ENVIRONMENT:
        raise ValueError(
            f"runtime_env['env_vars'] must have at most {MAX_ENVIRONMENT} characters in all. Got: {size}. Put what is "
            "long into a file, and its path into the variable"
        )
    return dict(given)


def _working_dir(given: Any) -> str:
    if given is None:
        return ""
    path = _path(given, "working_dir")
    if not os.path.isdir(path):
        raise ValueError(f"{given} is not a valid path. runtime_env['working_dir'] must be an existing local directory")
    return path


def _py_modules(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list | tuple):
        raise TypeError(
            "runtime_env['py_modules'] must be a list of paths or modules, but received "
            f"{type(given).__name__}: {given!r:.80}"
        )
    return tuple(_py_module(item) for item in given)


def _py_module(given: Any) -> str:
    if isinstance(given, types.ModuleType):
        file: str | None = getattr(given, "__file__", None)
        if not file:
            raise ValueError(f"runtime_env['py_modules']: {given!r} has no file that another process could import")
        return os.path.abspath(os.path.dirname(file) if os.path.basename(file) == "__init__.py" else file)
    path = _path(given, "py_modules")
    if not (os.path.isdir(path) or (os.path.isfile(path) and path.endswith(".py"))):
        raise ValueError(
            f"{given} is not a valid path. runtime_env['py_modules'] must hold existing local directories, .py files "
            "or modules"
        )
    return path


def _path(given: Any, key: str) -> str:
    if not isinstance(given, str | os.PathLike):
        raise TypeError(
            f"runtime_env[{key!r}] must be a path of this machine, but received {type(given).__name__}: {given!r:.80}"
        )
    path: str = os.path.expanduser(os.fsdecode(given))
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise ValueError(
            f"runtime_env[{key!r}]: {path!r} is relative to the working directory, which was removed: give an absolute "
            "path"
        ) from None
