"""`WorkerSetup`: a checked runtime_env, which tells what a worker sets up before it runs user code."""

from __future__ import annotations

import os
import re
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from nbactors.limits import MAX_ENVIRONMENT, MAX_SECONDS

if TYPE_CHECKING:
    from nbactors.runtime_env.requirements import Requirements

SETUP_TIMEOUT_S = 600.0
"""Limit in seconds of the installation of packages, unless "config" has another."""

_NOTHING: Mapping[str, str] = {}
_SERVED = ("env_vars", "working_dir", "py_modules", "excludes", "pip", "uv", "worker_process_setup_hook", "config")
_CONFIG = ("setup_timeout_seconds", "eager_install", "log_files")
_IN_OWN = "start the notebook's kernel or the script in it, since workers run the session's own interpreter"
_OTHER_MACHINES = "there is one machine, so run the session there"
_UNSERVED = {
    "conda": f'conda environments are whole interpreters: {_IN_OWN}; for packages of Python give "pip" or "uv"',
    "container": f"workers share memory and sockets with the session: {_OTHER_MACHINES} inside the container",
    "image_uri": f"workers share memory and sockets with the session: {_OTHER_MACHINES} inside the container",
    "java_jars": "there are no workers in Java: start the program with `subprocess` in a task",
    "mpi": "workers are forked and not started by mpirun: start the program with `subprocess` in a task",
    "nsight": 'workers are forked and not started by nsys: start the session with it: "nsys profile python"',
    "rocprof_sys": "workers are forked and not started by a profiler: start the whole session with it",
    "py_executable": f"another interpreter is another environment: {_IN_OWN}",
}
_ZIPPED = (".zip", ".whl")


class WorkerSetup(NamedTuple):
    """What a worker sets up before it runs user code.

    Attributes:
        env_vars: Environment variables. They replace variables of the session of the same name.
        working_dir: Absolute path of the worker's working directory, which is also on `sys.path`, or of a .zip file
            with its content; empty for the session's working directory.
        py_modules: Absolute paths of package directories and .py files that can be imported by their own name, and of
            .zip and .whl files. A path that ends with a slash is a directory that contains modules.
        requirements: The packages to install; None for none.
        hook: A function to call, its dotted name, or both pickled; None for none.
        timeout_s: Limit of the installation in seconds.
        packages: Directory of the installed packages in their environment; empty if there is none yet.
        archives: The path, size and time of change of each .zip and .whl file, so that a changed file makes another
            setup.
        excludes: For each directory of which workers do not see all files: its path, the patterns that exclude files,
            and a mark that differs after a change. It is copied without these files.
    """

    env_vars: Mapping[str, str] = _NOTHING
    working_dir: str = ""
    py_modules: tuple[str, ...] = ()
    requirements: Requirements | None = None
    hook: Callable[[], Any] | str | bytes | None = None
    timeout_s: float = SETUP_TIMEOUT_S
    packages: str = ""
    archives: tuple[tuple[str, int, int], ...] = ()
    excludes: tuple[tuple[str, tuple[str, ...], str], ...] = ()

    @classmethod
    def parse(cls, given: Any) -> WorkerSetup | None:
        """Check the user's runtime_env: None or a dict. Return None if it has no entries. Any thread.

        Raises:
            TypeError: A value has a wrong type.
            ValueError: A key is not served, or a path does not exist.
        """
        if given is None or isinstance(given, WorkerSetup):
            return given
        if not isinstance(given, Mapping):
            raise TypeError(
                "The type of keyword 'runtime_env' must be dict or None, but received type "
                f"{type(given).__name__}: {given!r:.80}"
            )
        for key, value in given.items():
            if key not in _SERVED and not (value is None and key in _UNSERVED):
                why = _UNSERVED.get(key, "this version does not know it")
                raise ValueError(f"runtime_env[{key!r}] is not served: {why}. Valid keys are {list(_SERVED)}")
        timeout_s = timeout_of(given.get("config"))
        working_dir, py_modules = _working_dir(given.get("working_dir")), _py_modules(given.get("py_modules"))
        result = cls(
            _env_vars(given.get("env_vars")),
            working_dir,
            py_modules,
            _requirements(given),
            _hook(given.get("worker_process_setup_hook")),
            timeout_s,
            archives=tuple(_mark(path) for path in (working_dir, *py_modules) if path.endswith(_ZIPPED)),
            excludes=_excludes(given.get("excludes"), (working_dir, *py_modules)),
        )
        return None if result == cls(timeout_s=timeout_s) else result

    def described(self) -> dict[str, Any]:
        """Return the entries as a user gives them, without packages and hook: no worker needs these any more."""
        found = {
            "env_vars": dict(self.env_vars),
            "working_dir": self.working_dir,
            "py_modules": [path.rstrip("/") for path in self.py_modules],
        }
        return {name: value for name, value in found.items() if value}

    def is_unprepared(self) -> bool:
        """Return whether packages have to be installed, or files unpacked or copied, before a worker can use it."""
        paths = (self.working_dir, *self.py_modules)
        return self.requirements is not None or bool(self.excludes) or any(path.endswith(_ZIPPED) for path in paths)

    def over(self, outer: WorkerSetup | None) -> WorkerSetup:
        """Return this setup over an inherited one. As in Ray variables are merged, and other fields replaced."""
        if outer is None:
            return self
        with_packages = self if self.requirements or self.packages else outer
        return WorkerSetup(
            {**outer.env_vars, **self.env_vars},
            self.working_dir or outer.working_dir,
            self.py_modules or outer.py_modules,
            with_packages.requirements,
            self.hook or outer.hook,
            self.timeout_s,
            with_packages.packages,
            self.archives or outer.archives,
            self.excludes or outer.excludes,
        )


def timeout_of(config: Any) -> float:
    """Check the entry "config", and return the limit of the installation in seconds. Any thread.

    Raises:
        TypeError, ValueError: It is no dict, has an unknown key, or the limit is neither positive nor -1.
    """
    if config is None:
        return SETUP_TIMEOUT_S
    if not isinstance(config, Mapping):
        raise TypeError(f"runtime_env['config'] must be of type dict or RuntimeEnvConfig, got: {type(config)}")
    for key in config:
        if key not in _CONFIG:
            raise ValueError(f"runtime_env['config'][{key!r}] is not served. Valid keys are {list(_CONFIG)}")
    limit = config.get("setup_timeout_seconds", SETUP_TIMEOUT_S)
    if not isinstance(limit, int | float) or isinstance(limit, bool):
        raise TypeError(f"setup_timeout_seconds must be a number of seconds, got: {type(limit)}")
    if limit != -1 and not 0 < limit <= MAX_SECONDS:
        raise ValueError(
            f"setup_timeout_seconds must be greater than zero and at most {MAX_SECONDS:.0f} (a week), or -1 for no "
            f"limit of its own. Got: {limit}"
        )
    return MAX_SECONDS if limit == -1 else float(limit)


def _requirements(given: Mapping[str, Any]) -> Requirements | None:
    if given.get("pip") is None and given.get("uv") is None:
        return None
    from nbactors.runtime_env import requirements  # noqa: PLC0415 - few programs need it

    return requirements.of(given)


def _hook(given: Any) -> Callable[[], Any] | str | None:
    if given is None:
        return None
    if callable(given):
        hook: Callable[[], Any] = given
        return hook
    if not isinstance(given, str):
        raise TypeError(
            "runtime_env['worker_process_setup_hook'] must be a function without parameters or its dotted name, but "
            f"received {type(given).__name__}: {given!r:.80}"
        )
    if not all(part.isidentifier() for part in given.split(".")) or "." not in given:
        raise ValueError(
            f"runtime_env['worker_process_setup_hook']: {given!r} is no dotted name such as 'package.module.function'"
        )
    return given


def _excludes(given: Any, paths: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    if given is None:
        return ()
    if not (isinstance(given, list | tuple) and all(isinstance(item, str) for item in given)):
        raise TypeError(
            f"runtime_env['excludes'] must be of type List[str], but received {type(given).__name__}: {given!r:.80}"
        )
    from nbactors.runtime_env import excluding  # noqa: PLC0415 - few programs need it

    patterns = tuple(given)
    try:
        return tuple(
            (path, patterns, excluding.mark_of(path, patterns)) for path in paths if patterns and os.path.isdir(path)
        )
    except OSError as error:
        raise ValueError(f"runtime_env['excludes']: {error.filename} cannot be read ({error.strerror})") from None
    except (re.error, ValueError) as error:
        raise ValueError(f"runtime_env['excludes']: a pattern cannot be read ({error}): {given!r:.80}") from None


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
    if not os.path.isdir(path) and not _is_file(path, ".zip"):
        raise ValueError(
            f"{given} is not a valid path. runtime_env['working_dir'] must be an existing local directory or .zip file"
        )
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
    if not (os.path.isdir(path) or _is_file(path, ".py", *_ZIPPED)):
        raise ValueError(
            f"{given} is not a valid path. runtime_env['py_modules'] must hold existing local directories, .py, .zip "
            "and .whl files, or modules"
        )
    return path


def _is_file(path: str, *endings: str) -> bool:
    return path.endswith(endings) and os.path.isfile(path)


def _mark(path: str) -> tuple[str, int, int]:
    facts = os.stat(path)
    return path, facts.st_size, facts.st_mtime_ns


def _path(given: Any, key: str) -> str:
    if not isinstance(given, str | os.PathLike):
        raise TypeError(
            f"runtime_env[{key!r}] must be a path of this machine, but received {type(given).__name__}: {given!r:.80}"
        )
    path: str = os.path.expanduser(os.fsdecode(given))
    if "://" in path:
        raise ValueError(
            f"runtime_env[{key!r}]: {path!r} is not on this machine. Download it, and give the path of the file"
        )
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise ValueError(
            f"runtime_env[{key!r}]: {path!r} is relative to the working directory, which was removed: give an absolute "
            "path"
        ) from None
