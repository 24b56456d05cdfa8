"""The session's installation, and how an interpreter is started on it that forks the session's workers.

A worker has to find each module where its session has it, whatever the node's own installation is. `sys.path` alone
does not say where that is:

- The session may have changed `sys.path` since it imported nbactors. So the forkserver is told where nbactors and
  msgspec lie.
- A file such as `random.py` in the working directory stands before the standard library, but a kernel has imported
  the library's `random` before that directory came on the path; a script has imported the file. So the forkserver is
  told from where the session has each module of such a name.
- Of such a name that the session has not imported, nbactors' own imports take the library's module, and user code the
  file, as it would in the session.

All of it is in the interpreter's arguments, which the session makes: the node only starts them.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

from nbactors.local.access import discovery
from nbactors.local.wire import messages, os_bytes
from nbactors.local.wire.framing import MAX_CONTROL_FRAME

_ALWAYS = ("nbactors", "msgspec")
"""What every session has imported."""

_BOOT = """\
def boot(places, paths, unsettled):
    import os, sys
    from importlib.machinery import PathFinder

    class Places:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return PathFinder.find_spec(name, [places[name]], target) if name in places else None

    sys.meta_path.insert(0, Places)
    library = os.path.dirname(os.__file__)
    sys.path[:] = [library, os.path.join(library, "lib-dynload"), *paths]
    try:
        from nbactors.local.forkserver import main
        main(int(sys.argv[1]), unsettled=unsettled)
    except ImportError as error:
        version = ".".join(map(str, sys.version_info[:3]))
        # Written before the exception lets the socket go: the node reads it when that closes.
        print(
            f"The Python interpreter of the session, {{sys.executable}} ({{version}}), cannot import what a worker "
            f"needs: {{error.name or 'a module'}} ({{error}}). Install it there, {{sys.executable}} -m pip install "
            "nbactors, or repair it with --force-reinstall; then call shutdown() and init().",
            file=sys.stderr, flush=True,
        )
        sys.exit(1)

boot({places!a}, {paths!a}, {unsettled!a})
"""
"""What a forkserver begins with. `paths` are of use when nbactors is imported; `main` sets the session's own."""


def environment(paths: list[str], cwd: str) -> messages.Environment:
    """Return what this process's workers must share with it.

    Args:
        paths: `sys.path`, importable from any directory.
        cwd: The working directory; empty if it was removed.

    Raises:
        OSError: The environment variables are too long to be sent, and much too long to start a program with.
        RaySystemError: Python does not know its own path.
    """
    size = sum(len(name) + len(value) for name, value in os.environb.items())
    if size > MAX_CONTROL_FRAME // 2:
        raise OSError(
            errno.E2BIG,
            f"the environment variables have {size} bytes in all, and no system starts a worker with so many: take the "
            "longest out of os.environ",
        )
    places, unsettled = _shadowed(paths)
    for name in _ALWAYS:
        places[name] = os.path.dirname(os.path.abspath(sys.modules[name].__path__[0]))
    boot = _BOOT.format(places=places, paths=paths, unsettled=unsettled)
    return messages.Environment(
        os_bytes.encode(discovery.interpreter()),
        os_bytes.encode_all([*_flags(), "-c", boot]),
        os_bytes.encode_all(paths),
        os_bytes.encode(cwd),
        dict(os.environb),
    )


def _shadowed(paths: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return what there is to say of the names of the standard library that stand before it on the path.

    Returns:
        From which directory this process has each of these modules, and the names of those that it has not imported.
    """
    places: dict[str, str] = {}
    unsettled: list[str] = []
    library = os.path.dirname(os.__file__)
    for path in paths:
        if path == library:
            break
        for name in _names(path) & sys.stdlib_module_names:
            module = sys.modules.get(name)
            file = getattr(module, "__file__", None)
            if module is None:
                unsettled.append(name)
            elif file:
                is_package = hasattr(module, "__path__")
                places[name] = os.path.dirname(os.path.dirname(file) if is_package else file)
    return places, sorted(set(unsettled))


def _names(path: str) -> set[str]:
    """Return the names of the modules that may lie in a directory, among others."""
    try:
        return {entry.partition(".")[0] for entry in os.listdir(path)}
    except OSError:  # it does not exist, or is an archive
        return set()


def _flags() -> list[str]:
    """Return the interpreter's options that decide where modules are found, and what code means."""
    flags = sys.flags
    found = []
    if flags.isolated:
        found.append("-I")
    else:
        given = {
            "-E": flags.ignore_environment,
            "-s": flags.no_user_site,
            "-P": getattr(flags, "safe_path", False),  # since Python 3.11
        }
        found += [flag for flag, is_given in given.items() if is_given]
    if flags.no_site:
        found.append("-S")
    if flags.optimize:
        found.append("-" + "O" * flags.optimize)
    if flags.utf8_mode:
        found += ["-X", "utf8"]
    return found
