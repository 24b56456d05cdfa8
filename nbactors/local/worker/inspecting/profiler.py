"""Samples what a worker does for some seconds, on a thread of its own. Needs no ptrace and no privileges."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from time import monotonic
from types import CodeType

from nbactors.local.worker.inspecting.stacks import MAX_FRAMES, Stack

MAX_STACKS = 10_000
"""The most different stacks of one profile."""


def sample(
    now: Callable[[], Iterable[tuple[str, float | None, Stack]]], seconds: float, interval: float
) -> tuple[int, list[tuple[list[str], int]]]:
    """Read the stacks again and again. Blocks for the given time.

    Args:
        now: Returns what runs, see `stacks.now`.
        seconds: How long to sample.
        interval: Seconds between two samples.

    Returns:
        The number of samples, and each stack with the number of samples in which it was seen.
    """
    counts: Counter[tuple[str | CodeType, ...]] = Counter()
    samples, end = 0, monotonic() + seconds
    due = monotonic()
    while True:
        for title, _, stack in now():
            key: tuple[str | CodeType, ...] = (title, *(frame.f_code for frame, _ in stack[-MAX_FRAMES:]))
            if key in counts or len(counts) < MAX_STACKS:
                counts[key] += 1
        samples += 1
        # Samples that are late are left out: they would all see the same.
        due = max(due + interval, monotonic())
        if due >= end:
            return samples, [(list(map(_named, key)), count) for key, count in counts.items()]
        time.sleep(max(due - monotonic(), 0))


def start(sampling: Callable[[], None]) -> None:
    """Run a sampling on a thread of its own, which the stacks do not show."""
    threading.Thread(target=sampling, name="nbactors-profiler", daemon=True).start()


def _named(part: str | CodeType) -> str:
    if isinstance(part, str):
        return part
    name = getattr(part, "co_qualname", part.co_name)
    return f"{name} ({part.co_filename}:{part.co_firstlineno})"
