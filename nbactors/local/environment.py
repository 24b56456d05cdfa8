"""The environment that a session shares with its workers: variables, paths, interpreter and runtime_env."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbactors.local import installation
from nbactors.local.wire import messages, os_bytes
from nbactors.pickling import pickling

if TYPE_CHECKING:
    from nbactors.runtime_env.worker_setup import WorkerSetup

MAX_HOOK = 1 << 20
"""Most bytes of a pickled hook. It is in the message for each worker."""


class Environment:
    """The environment of one session or worker, for messages to the node.

    Attributes:
        inherited: The prepared runtime_env of this session or worker, which the workers of its calls inherit.
    """

    def __init__(self) -> None:
        self.inherited: WorkerSetup | None = None
        self._told: tuple[list[str], str] = ([], "")

    def tell_paths(self) -> None:
        """Remember the present paths, with which the forkserver was started."""
        self._told = (importable_paths(), working_directory())

    def of_session(self) -> messages.Environment:
        """Return the environment for this session's workers, and remember the paths for `changed_paths`.

        Raises:
            OSError: The environment variables are too long to be sent, and much too long to start a program with.
        """
        self.tell_paths()
        return installation.environment(*self._told)

    def changed_paths(self) -> tuple[list[bytes], bytes]:
        """Return `sys.path` and the working directory if they differ from the remembered ones, else empty values."""
        now = paths, cwd = importable_paths(), working_directory()
        return ([], b"") if now == self._told else (os_bytes.encode_all(paths), os_bytes.encode(cwd))

    def runtime_env(self, env: WorkerSetup | None) -> messages.RuntimeEnv | None:
        """Return the runtime_env of a new worker: the options' one over the inherited one.

        Blocks while packages are installed. Any thread.

        Raises:
            RuntimeEnvSetupError, KeyboardInterrupt: See `packages.preparing.prepared`.
            TypeError, ValueError: The hook cannot be pickled, or is too large.
        """
        inherited = self.inherited
        given = inherited if env is None else env.over(inherited)
        if given is None:
            return None
        given = prepared(given)
        assert isinstance(given.hook, bytes | None), "it is pickled"
        return messages.RuntimeEnv(
            os_bytes.encode_variables(given.env_vars),
            os_bytes.encode(given.working_dir),
            os_bytes.encode_all(given.py_modules),
            os_bytes.encode(given.packages),
            given.hook or b"",
        )


def prepared(setup: WorkerSetup) -> WorkerSetup:
    """Return a setup whose packages are installed, whose archives are unpacked and whose hook is pickled.

    Blocks. Any thread. Raises as `Environment.runtime_env`.
    """
    if setup.is_unprepared():
        from nbactors.local.packages import preparing  # noqa: PLC0415 - few sessions need it, none to begin

        setup = preparing.prepared(setup)
    if setup.hook is not None and not isinstance(setup.hook, bytes):
        setup = setup._replace(hook=_pickled(setup.hook))
    return setup


def _pickled(hook: Callable[[], Any] | str) -> bytes:
    if isinstance(hook, str):
        return pickling.dumps(hook).data
    pickled = pickling.dumps_code(hook)
    if pickled.found:
        raise ValueError(
            "runtime_env['worker_process_setup_hook'] refers to an ObjectRef or an actor's handle, which no worker can "
            "use before it has joined the session. Look an actor up by its name in the task itself"
        )
    if len(pickled.data) > MAX_HOOK:
        raise ValueError(
            f"runtime_env['worker_process_setup_hook'] has {len(pickled.data)} bytes when it is pickled, and at most "
            f"{MAX_HOOK} are allowed: have it read its data from a file"
        )
    return pickled.data


def importable_paths() -> list[str]:
    """Return `sys.path`, with the working directory in place of the empty entry, as a worker may run elsewhere.

    If the working directory was removed, that entry is left out: Python finds no module by it either.
    """
    texts = [path for path in sys.path if isinstance(path, str)]
    return [path for path in (path or working_directory() for path in texts) if path]


def working_directory() -> str:
    """Return the working directory; "" if it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""
