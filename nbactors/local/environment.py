"""The environment that a session shares with its workers: variables, paths, interpreter and runtime_env."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from nbactors.local import installation
from nbactors.local.wire import messages, os_bytes

if TYPE_CHECKING:
    from nbactors.runtime_env import RuntimeEnv


class Environment:
    """The environment of one session or worker, for messages to the node.

    Attributes:
        inherited: The runtime_env of this session or worker, which the workers of its calls inherit.
    """

    def __init__(self) -> None:
        self.inherited: RuntimeEnv | None = None
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

    def runtime_env(self, env: RuntimeEnv | None) -> messages.RuntimeEnv | None:
        """Return the runtime_env of a new worker: the options' one over the inherited one."""
        inherited = self.inherited
        given = inherited if env is None else env.over(inherited)
        if given is None:
            return None
        return messages.RuntimeEnv(
            os_bytes.encode_variables(given.env_vars),
            os_bytes.encode(given.working_dir),
            os_bytes.encode_all(given.py_modules),
        )


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
