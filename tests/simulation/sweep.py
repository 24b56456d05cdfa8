"""Runs many seeds, on all cores."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from typing import NamedTuple

from simulation import seams
from simulation.plan import draw
from simulation.simulation import simulate

BLOCK = 50
"""Seeds that are run between two collections of what they have left."""


class Found(NamedTuple):
    """A seed whose simulation has failed."""

    seed: int
    failures: list[str]


class Block(NamedTuple):
    """The result of some seeds.

    Attributes:
        digest: Of all their runs.
    """

    count: int
    actions: int
    digest: int
    found: list[Found]


def run_block(seeds: range) -> Block:
    """Run some seeds in this process, within `seams.prepared()`."""
    actions = digest = 0
    found: list[Found] = []
    for seed in seeds:
        outcome = simulate(draw(seed))
        actions += outcome.actions
        digest = (digest * 31 + outcome.digest) % 2**61
        if outcome.failures:
            found.append(Found(seed, outcome.failures))
    gc.collect()
    return Block(len(seeds), actions, digest, found)


def _begin_process() -> None:
    seams.prepare_for_good()
    gc.collect()
    gc.freeze()


def sweep(first: int, count: int, processes: int = 0) -> Iterator[Block]:
    """Run `count` seeds from `first` on, in as many processes as there are cores; yield what each block gives."""
    blocks = [range(begin, min(begin + BLOCK, first + count)) for begin in range(first, first + count, BLOCK)]
    processes = processes or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with get_context("fork").Pool(min(processes, len(blocks)), _begin_process) as pool:
        yield from pool.imap(run_block, blocks)


def is_repeatable() -> bool:
    """Return whether another process would order sets of bytes in the same way, and so replay a seed exactly."""
    return sys.flags.hash_randomization == 0
