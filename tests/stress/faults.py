"""Faults: which process is killed next follows from a seed, and when, from the progress of the history."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

import nbactors
from nbactors.testing import History, eventually
from nbactors.testing.leaks import node_pid
from nbactors.testing.records import Begun, Born, Ended, decode
from stress.chaos_driver import NAMESPACE, SHARED, create

WEIGHTS = {"actor": 8, "task": 3, "restart": 3, "forkserver": 1, "driver": 2, "node": 1}
"""How often each kind of fault comes."""

PROGRESS_S = 60.0
"""In this time some call ends, or all hang."""


class Faults:
    """The conductor of a run: creates the shared actors, starts drivers, and kills.

    Args:
        seed: Decides on the faults.
        history: Gets all records.
        drivers: The number of drivers that run at a time. A killed driver is replaced.
        threads: The number of submitters of each driver.
        kinds: The kinds of faults, of WEIGHTS.
    """

    def __init__(self, seed: int, history: History, drivers: int, threads: int, kinds: tuple[str, ...]) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.history = history
        self.threads = threads
        self.kinds = {kind: WEIGHTS[kind] for kind in kinds}
        self.read = 0
        self.births: dict[str, tuple[int, float]] = {}
        self.running: dict[int, tuple[bool, float]] = {}
        self.started = 0
        self.actors = {kind: create(history, kind, kind, name=kind) for kind in SHARED}
        self.drivers: list[subprocess.Popen[str]] = []
        for _ in range(drivers):
            self.start_driver()

    def start_driver(self) -> None:
        environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.getcwd()])}
        command = [sys.executable, "-m", "stress.chaos_driver", str(self.seed), str(self.started)]
        command += [self.history.path, str(self.threads)]
        self.started += 1
        self.drivers.append(
            subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )

    def strike(self) -> str:
        """Wait for some progress of the history, and do one fault; return its kind."""
        kind = self.random.choices(list(self.kinds), list(self.kinds.values()))[0]
        records = self.random.choice([1, 20, 100])
        size = self.size() + 200 * records
        eventually(lambda: self.size() > size, PROGRESS_S, f"progress before the fault {kind!r}")
        faults: dict[str, Callable[[], None]] = {
            "actor": self.kill_actor,
            "task": self.kill_task,
            "restart": self.restart_actor,
            "forkserver": self.kill_forkserver,
            "driver": self.kill_driver,
            "node": lambda: self.kill(eventually(node_pid), "node"),
        }
        faults[kind]()
        return kind

    def size(self) -> int:
        return os.stat(self.history.path).st_size

    def kill(self, pid: int, what: str) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.history.killed(pid, what)

    def look(self) -> None:
        """Read the new records: which process each actor has, and which processes run a task."""
        with open(self.history.path, "rb") as file:
            file.seek(self.read)
            lines = file.read().rpartition(b"\n")[0]
        self.read += len(lines)
        for record in decode(lines.splitlines()):
            if isinstance(record, Born):
                self.births[record.actor] = (record.pid, record.at)
            elif isinstance(record, Begun | Ended) and not record.life:
                self.running[record.pid] = (isinstance(record, Begun), record.at)

    def choose(self, processes: list[tuple[int, float]]) -> int | None:
        """Choose one that is alive. A process that is younger than a record of its pid has the pid of a dead one."""
        living = [pid for pid, at in processes if psutil.pid_exists(pid) and _started(pid) <= at]
        return self.random.choice(living) if living else None

    def kill_actor(self) -> None:
        self.look()
        shared = [process for label, process in self.births.items() if label in SHARED]
        # Most calls are made to the shared actors, so that a kill of one of them cuts off the most.
        pid = self.choose(shared if self.random.random() < 0.7 else list(self.births.values()))
        if pid is not None:
            self.kill(pid, "actor")

    def kill_task(self) -> None:
        self.look()
        pid = self.choose([(pid, at) for pid, (runs, at) in self.running.items() if runs])
        if pid is None:
            pid = self.choose([(pid, at) for pid, (_, at) in self.running.items()])
        if pid is not None:
            self.kill(pid, "task worker")

    def restart_actor(self) -> None:
        nbactors.kill(self.actors[self.random.choice(["plain", "async", "threaded", "detached"])], no_restart=False)

    def kill_forkserver(self) -> None:
        forkservers = psutil.Process(eventually(node_pid)).children()
        if forkservers:
            self.kill(self.random.choice(forkservers).pid, "forkserver")

    def kill_driver(self) -> None:
        driver = self.drivers.pop(self.random.randrange(len(self.drivers)))
        self.kill(driver.pid, "driver")
        driver.communicate()
        self.start_driver()

    def finish(self, timeout_s: float) -> None:
        """Let the drivers take their last answers and end; fail if one of them hangs or fails."""
        for driver in self.drivers:
            assert driver.stdin is not None
            driver.stdin.close()
        for driver in self.drivers:
            driver.stdin = None
            try:
                _, stderr = driver.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                driver.send_signal(signal.SIGUSR1)
                driver.kill()
                raise AssertionError(f"a driver hangs:\n{driver.communicate()[1]}") from None
            assert driver.returncode == 0, f"exit code {driver.returncode}; stderr:\n{stderr}"

    def check_actors(self) -> None:
        """Call each actor that has unlimited restarts once more: it still answers."""
        submitter = self.history.submitter("conductor")
        for kind, actor in self.actors.items():
            if kind != "mortal":
                call = submitter.invoke(kind, "read", retries=-1)
                ref = actor.read.options(max_task_retries=-1).remote(call)
                submitter.take(call, lambda ref=ref: nbactors.get(ref, timeout=PROGRESS_S))  # type: ignore[misc]
        submitter.leave()

    def end(self) -> None:
        """Kill all that is left."""
        for driver in self.drivers:
            if driver.poll() is None:
                driver.kill()
            driver.communicate()
        for name in nbactors.util.list_named_actors():
            nbactors.kill(nbactors.get_actor(name))
        self.actors.clear()


def _started(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return math.inf


def start_session(**options: Any) -> None:
    nbactors.init(namespace=NAMESPACE, num_cpus=4, log_to_driver=False, **options)
