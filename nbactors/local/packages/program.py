"""The program of an interpreter of its own that makes an environment: a venv with the wanted packages.

It imports only the standard library. Its first line of input is the order, in JSON. All that the installer writes goes
to its output. When its input ends, the process that has started it is gone or wants it no longer: then it kills itself
with all that it has started, so that no installer stays behind.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import venv

SEES_SESSION = "_nbactors_session.pth"
"""The file by which an interpreter of the environment finds the session's packages, after its own."""

_PLACES = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
"""Variables that have pip install somewhere else than into the environment."""


def main() -> None:
    """Make the environment of the order. Exits with 1 if a step fails."""
    order = json.loads(_first_line())
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    place = order["place"]
    venv.EnvBuilder(symlinks=True).create(place)
    temporary = os.path.join(place, "tmp")
    os.mkdir(temporary)
    os.environ.update(TMPDIR=temporary, PIP_USER="0")
    for name in _PLACES:
        os.environ.pop(name, None)
    with open(os.path.join(site_of(place), SEES_SESSION), "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"import site; site.addsitedir({path!a})\n" for path in order["sites"])
    wanted = os.path.join(place, "requirements.txt")
    with open(wanted, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in order["lines"])
    python = os.path.join(place, "bin", "python")
    (_install_by_pip if order["tool"] == "pip" else _install_by_uv)(python, order, wanted)
    shutil.rmtree(temporary, ignore_errors=True)


def site_of(place: str) -> str:
    """Return the directory of an environment that the packages are in."""
    return sysconfig.get_path("purelib", "posix_prefix", {"base": place, "platbase": place})


def _install_by_pip(python: str, order: dict, wanted: str) -> None:  # type: ignore[type-arg] # as JSON has it
    pip = [python, "-I", "-m", "pip"]
    _provide_pip(python)
    if order["version"]:
        _run([*pip, "install", "--no-input", "--disable-pip-version-check", f"pip{order['version']}"], order)
    _run([*pip, "install", "--no-input", "--disable-pip-version-check", *order["options"], "-r", wanted], order)
    if order["check"]:
        _run([*pip, "check", "--disable-pip-version-check"], order)


def _install_by_uv(python: str, order: dict, wanted: str) -> None:  # type: ignore[type-arg] # as JSON has it
    found = None if order["version"] else shutil.which("uv")
    if found is None:
        if order["version"] or not _imports(python, "uv"):
            _provide_pip(python)
            uv = f"uv{order['version']}"
            _run([python, "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", uv], order)
        command = [python, "-I", "-m", "uv", "pip"]
    else:
        command = [found, "pip"]
    _run([*command, "install", "--python", python, *order["options"], "-r", wanted], order)
    if order["check"]:
        _run([*command, "check", "--python", python], order)


def _provide_pip(python: str) -> None:
    if not _imports(python, "pip"):  # the session has none
        _run([python, "-I", "-m", "ensurepip"], {})


def _imports(python: str, name: str) -> bool:
    code = f"import sys, importlib.util; sys.exit(importlib.util.find_spec({name!r}) is None)"
    return subprocess.run([python, "-I", "-c", code], stdin=subprocess.DEVNULL, check=False).returncode == 0


def _run(command: list[str], order: dict) -> None:  # type: ignore[type-arg] # as JSON has it
    print("$", *command, flush=True)
    cwd = order.get("directory") or "/"
    done = subprocess.run(command, stdin=subprocess.DEVNULL, cwd=cwd if os.path.isdir(cwd) else "/", check=False)
    if done.returncode:
        print(f"{command[0]} has ended with status {done.returncode}", flush=True)
        sys.exit(1)


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1 << 16)
        if not piece:
            sys.exit(1)
        line += piece
    return line


def _end_with_the_caller() -> None:
    while os.read(0, 512):  # not `sys.stdin`, whose lock would be held when the interpreter ends
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
