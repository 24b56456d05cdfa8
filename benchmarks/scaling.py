"""What grows on a Ray cluster with its nodes and actors: how fast they come, what they take, and what the hub does.

    python -m benchmarks.scaling --nodes 1 --nodes 3 --actors 60

The nodes are simulated on this machine, by `ray.cluster_utils`, so they share its cores: compare rows of one run.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from statistics import mean, median
from typing import Any

import click
import psutil
import ray as plain_ray
from ray.cluster_utils import Cluster

import nbactors
from nbactors.testing import eventually
from nbactors.util import state

IN_FLIGHT = 1000
ROUNDS = 5
RATE_S = 1.0
IDLE_S = 10.0
LONG_S = 3600.0
LIMIT_S = 600.0
"""Seconds until a measurement is given up."""


class Worker:
    """The actor that is measured."""

    def small(self) -> bytes:
        """Return a small reply."""
        return b"ok"

    def pid(self) -> int:
        """Return the id of this process."""
        return os.getpid()

    def sleep(self, begun: str) -> None:
        """Make the file `begun`, and sleep until somebody interrupts it."""
        with open(begun, "w"):
            pass
        time.sleep(LONG_S)

    def write(self, count: int) -> None:
        """Write so many lines."""
        for number in range(count):
            print(f"line {number} of a worker that writes as a training does")


class CountedLines(io.TextIOBase):
    """A stream that counts the lines written to it, and tells when so many are there."""

    def __init__(self, wanted: int) -> None:
        self.count = 0
        self.are_there = threading.Event()
        self._wanted = wanted

    def write(self, text: str) -> int:
        """Count the lines of a text."""
        self.count += text.count("\n")
        if self.count >= self._wanted:
            self.are_there.set()
        return len(text)


@contextlib.contextmanager
def session(nodes: int) -> Iterator[None]:
    """Have a session on a cluster of so many nodes within the `with` block."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=1)
    try:
        nbactors.init(cluster.address, namespace="scaling")
        yield
    finally:
        nbactors.shutdown()
        cluster.shutdown()


def rate(round_of_calls: Any, count: int) -> float:
    """Return how many calls are done in a second."""
    rates = []
    for _ in range(ROUNDS):
        done, begun = 0, time.monotonic()
        while time.monotonic() - begun < RATE_S:
            round_of_calls()
            done += count
        rates.append(done / (time.monotonic() - begun))
    return median(rates)


def processor_time(pids: list[int]) -> float:
    """Return the seconds of processor time that processes have taken."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def memory(pid: int) -> int:
    """Return the bytes of memory that a process shares with no other one."""
    used: int = psutil.Process(pid).memory_full_info().uss
    return used


def hub_pid() -> int:
    """Return the id of the hub's process, 0 if it is not up yet."""
    rows = plain_ray._private.state.actors().values()
    found = (int(row["Pid"]) for row in rows if row["ActorClassName"] == "Hub" and row["State"] == "ALIVE")
    return next(found, 0)


def measure(nodes: int, actors: int, lines: int, directory: str, beside_ray: bool) -> dict[str, float]:
    """Return the figures of a cluster. Needs a session on it."""
    get, hub = nbactors.get, eventually(hub_pid, LIMIT_S)
    found: dict[str, float] = {"nodes": nodes, "actors": actors}
    for runtime, suffix in ((plain_ray, " of Ray's own"), (nbactors, ""))[0 if beside_ray else 1 :]:
        begun = time.monotonic()
        kind: Any = runtime.remote(num_cpus=0, scheduling_strategy="SPREAD")(Worker)
        them: list[Any] = [kind.remote() for _ in range(actors)]
        pids = runtime.get([each.pid.remote() for each in them], timeout=LIMIT_S)
        found[f"actors{suffix} created and called, /s"] = actors / (time.monotonic() - begun)
        found[f"memory of an actor{suffix}, MB"] = mean(map(memory, pids)) / 1e6
        before, begun = (processor_time([hub]), processor_time(pids)), time.monotonic()
        time.sleep(IDLE_S)
        passed = time.monotonic() - begun
        found[f"an idle actor{suffix}, ms/s"] = (processor_time(pids) - before[1]) / passed / actors * 1e3
        if runtime is plain_ray:
            for each in them:
                plain_ray.kill(each)
    found["the hub while all are idle, ms/s"] = (processor_time([hub]) - before[0]) / passed * 1e3
    found["nodes used"] = len({row["node_id"] for row in state.list_actors(limit=10_000, detail=True)})

    found["one at a time, /s"] = rate(lambda: get(them[-1].small.remote(), timeout=LIMIT_S), 1)
    methods = [them[number % actors].small for number in range(IN_FLIGHT)]
    found["1,000 in flight over all, /s"] = rate(
        lambda: get([method.remote() for method in methods], timeout=LIMIT_S), IN_FLIGHT
    )

    waits = []
    for number in range(ROUNDS):
        mark = os.path.join(directory, f"begun-{nodes}-{number}")
        ref = them[number % actors].sleep.remote(mark)
        eventually(partial(os.path.exists, mark), LIMIT_S)
        begun = time.monotonic()
        nbactors.cancel(ref, interrupt=True)
        with contextlib.suppress(nbactors.exceptions.TaskCancelledError):
            get(ref, timeout=LIMIT_S)
        waits.append(time.monotonic() - begun)
    found["interrupt of a sleep, ms"] = median(waits) * 1e3

    each = lines // actors
    written = CountedLines(each * actors)
    before_hub, begun = processor_time([hub]), time.monotonic()
    with contextlib.redirect_stdout(written):
        get([actor.write.remote(each) for actor in them], timeout=LIMIT_S)
        written.are_there.wait(LIMIT_S)
    found["lines, /s"] = written.count / (time.monotonic() - begun)
    found["lines lost"] = each * actors - written.count
    found["the hub for 1,000 lines, ms"] = (processor_time([hub]) - before_hub) / written.count * 1e6
    return found


@click.command()
@click.option("--nodes", "counts", type=int, multiple=True, default=(1, 3, 6), help="Nodes of a cluster; repeatable.")
@click.option("--actors", type=int, default=60, help="Actors on each cluster.")
@click.option("--beside-ray/--alone", default=True, help="Whether to measure actors of Ray itself, too.")
@click.option("--lines", type=int, default=100_000, help="Lines that all actors write together.")
def main(counts: tuple[int, ...], actors: int, lines: int, beside_ray: bool) -> None:
    """Print a table of what grows with the nodes of a Ray cluster."""
    tables = []
    for nodes in counts:
        with session(nodes), tempfile.TemporaryDirectory() as directory:
            tables.append(measure(nodes, actors, lines, directory, beside_ray))
            click.echo(tables[-1], err=True)
    for name in tables[0]:
        click.echo(f"| {name} | " + " | ".join(f"{table[name]:,.3g}" for table in tables) + " |")


if __name__ == "__main__":
    sys.exit(main())
