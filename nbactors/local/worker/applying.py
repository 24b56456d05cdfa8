"""Applies a runtime_env to a worker that was forked just now, before it joins the node and runs user code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any, NoReturn

from nbactors import engine
from nbactors.exceptions import RaySystemError
from nbactors.local.wire import messages, os_bytes
from nbactors.pickling import pickling
from nbactors.runtime_env.worker_setup import WorkerSetup

_SEES_SESSION = "_nbactors_session.pth"
"""The file by which an interpreter of an environment finds the session's packages. A worker has them already."""


def read(env: messages.RuntimeEnv) -> WorkerSetup:
    """Return the setup that a message describes."""
    return WorkerSetup(
        os_bytes.decode_variables(env.env_vars),
        os_bytes.decode(env.working_dir),
        tuple(os_bytes.decode_all(env.py_modules)),
        hook=env.hook or None,
        packages=os_bytes.decode(env.packages),
    )


def enter(setup: WorkerSetup) -> None:
    """Take over a setup's variables, packages and directories. The main thread, once.

    Raises:
        SystemExit: With `NO_RUNTIME_ENV`, after the reason was written to stderr.
    """
    try:
        os.environ.update(setup.env_vars)
        if setup.packages:
            _enter(setup.packages)
        for module in reversed(setup.py_modules):
            sys.path.insert(0, os.path.dirname(module))
        if setup.working_dir:
            os.chdir(setup.working_dir)
            sys.path.insert(0, setup.working_dir)
    except (OSError, ValueError) as error:  # a directory that was removed meanwhile, a zero byte in a variable
        print(f"the runtime_env cannot be applied: {error}", file=sys.stderr)
        raise SystemExit(messages.NO_RUNTIME_ENV) from None


def run_hook(setup: WorkerSetup) -> None:
    """Run a setup's hook, if it has one. The main thread, once, after `enter`.

    Raises:
        SystemExit: As `enter`.
    """
    if isinstance(setup.hook, bytes):
        _run_hook(setup.hook)


def _enter(packages: str) -> None:
    """Import the packages of an environment before all others, and be its interpreter for programs that are started."""
    import site  # noqa: PLC0415 - few workers need it

    if not os.path.isdir(packages):
        raise OSError(
            f"the installed packages in {packages} are gone: the cache was cleared after the session had begun. Call "
            "shutdown() and init(), and they are installed again"
        )
    before = list(sys.path)
    sys.path.append(packages)
    for name in sorted(os.listdir(packages)):
        if name.endswith(".pth") and not name.startswith(".") and name != _SEES_SESSION:
            site.addpackage(packages, name, None)
    sys.path[:] = [*(path for path in sys.path if path not in before), *before]
    place = os.path.dirname(os.path.dirname(os.path.dirname(packages)))
    programs = os.path.join(place, "bin")
    sys.executable = os.path.join(programs, "python")
    sys.prefix = sys.exec_prefix = place
    os.environ.update(VIRTUAL_ENV=place, PATH=os.pathsep.join([programs, *os.get_exec_path()]))
    importlib.invalidate_caches()


def _run_hook(data: bytes) -> None:
    engine.install(_NotYet())  # type: ignore[arg-type] # it only raises
    try:
        hook = pickling.loads(data)
        (_found(hook) if isinstance(hook, str) else hook)()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - user code
        _refuse(error)
    finally:
        engine.install(None)


def _found(name: str) -> Any:
    """Return what a dotted name means: an attribute of the longest module in it."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module and not module.startswith(f"{error.name}."):
                raise  # the module exists and lacks another one
            if length == 1:
                raise
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ImportError(name)


def _refuse(error: BaseException) -> NoReturn:
    trace = error.__traceback__
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if frame.filename != __file__]
    print(
        "the worker_process_setup_hook has raised an error:\n"
        "Traceback (most recent call last):\n"
        + "".join(traceback.format_list(own))
        + "".join(traceback.format_exception_only(error)),
        file=sys.stderr,
    )
    raise SystemExit(messages.NO_RUNTIME_ENV) from None


class _NotYet:
    """Stands for the engine while the hook runs."""

    def __getattr__(self, name: str) -> Any:
        raise RaySystemError(
            "a worker_process_setup_hook runs before its worker has joined the session, so it can call no remote "
            "function and no actor. Do that in the task, or in the actor's constructor."
        )
