"""Imports modules in a forkserver, so that its workers have them. See `nbactors.init(preload=…)`.

Only a process with one thread is forked safely, and no child can use the CUDA of its parent. A module that leaves
threads, or has initialised CUDA, is dropped: the forkserver begins anew without it, as the same process.

The variables that limit thread pools, such as OMP_NUM_THREADS, stay as they are. OpenBLAS, which numpy has, starts its
threads at import, ends them before each fork, and starts them anew in a child that needs them. OpenMP starts none at
import, but reads the variable then, once for all: with a limit, the workers would compute on one core for ever.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Mapping
from typing import NoReturn

import msgspec

from nbactors.local.wire import messages

_AGAIN = "--resumed-from="
"""The last argument of a forkserver that begins anew, with the descriptor of the file that says what it has to do."""

_TASKS = "/proc/self/task"
_FILES = "/proc/self/fd"
_GPUS = ("/dev/nvidia", "/dev/kfd")
_POOL_END_S = 1.0
"""The limit, in seconds, for the end of threads that have been told to end."""


class Order(msgspec.Struct):
    """What a forkserver has to import, and what was dropped before it began anew.

    Attributes:
        environment: The node's message, with the modules that are left.
        dropped: The reasons, by the module's name.
    """

    environment: messages.Environment
    dropped: dict[str, str] = {}


def resumed() -> Order | None:
    """Return the order of a forkserver that has begun anew; None at its first beginning."""
    last = sys.argv[-1]
    if not last.startswith(_AGAIN):
        return None
    with open(int(last.removeprefix(_AGAIN)), "rb") as file:
        return msgspec.msgpack.decode(file.read(), type=Order)


def carry_out(order: Order, environ: Mapping[str, str], keep: int) -> dict[str, str]:
    """Import the modules. Does not return if the process has to begin anew without one of them.

    Args:
        order: What to import.
        environ: The variables with which this process was started.
        keep: The descriptor that stays open.

    Returns:
        Why a module was not imported, by its name.
    """
    for name in order.environment.preload:
        if name in order.dropped:
            continue
        print(f"importing {name}", file=sys.stderr, flush=True)  # the last line that a crash leaves
        why = ""
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the module may be the user's
            why = order.dropped[name] = f"its import has raised {_one_line(error)}"
        unfit = _unfitness()
        if unfit:
            order.dropped[name] = why or unfit
            _begin_anew(order, environ, keep)
    return order.dropped


def _one_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _unfitness() -> str:
    """Return why this process cannot be forked, or why its children could not use what it has; empty if they can."""
    if _has_cuda():
        return "it has initialised CUDA, which a forked process cannot use"
    if _threads() == 1 or _end_pools():
        return ""
    return f"it has started threads ({_threads() - 1}), and a process with threads cannot be forked safely"


def _threads() -> int:
    try:
        return len(os.listdir(_TASKS))
    except OSError:  # not Linux
        return threading.active_count()


def _end_pools() -> bool:
    """Have libraries end the thread pools that they end before a fork. Return whether no thread is left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of a fork beside threads
        child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    deadline = time.monotonic() + _POOL_END_S
    while _threads() > 1:
        if threading.active_count() > 1 or time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _has_cuda() -> bool:
    torch = sys.modules.get("torch")
    if torch is not None:
        try:
            if torch.cuda.is_initialized():
                return True
        except Exception:  # noqa: BLE001 - a build of another kind, or a module that only has the name
            pass
    try:
        names = os.listdir(_FILES)
    except OSError:  # not Linux
        return False
    return holds_gpu(_link(name) for name in names)


def _link(name: str) -> str:
    try:
        return os.readlink(f"{_FILES}/{name}")
    except OSError:  # it was that of the listing itself
        return ""


def holds_gpu(files: Iterable[str]) -> bool:
    """Return whether the paths of a process's open files are those of a process that uses a GPU."""
    return any(file.startswith(_GPUS) for file in files)


def _begin_anew(order: Order, environ: Mapping[str, str], keep: int) -> NoReturn:
    """Replace the program of this process by a fresh one, with the same number and the same socket to the node."""
    with tempfile.TemporaryFile() as file:
        file.write(msgspec.msgpack.encode(order))
        file.flush()
        file.seek(0)
        number = os.dup(file.fileno())
    os.set_inheritable(number, True)
    os.set_inheritable(keep, True)
    arguments = [argument for argument in sys.orig_argv[1:] if not argument.startswith(_AGAIN)]
    os.execve(sys.executable, [sys.executable, *arguments, f"{_AGAIN}{number}"], environ)
