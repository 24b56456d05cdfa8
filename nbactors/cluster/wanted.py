"""`Wanted`: tells of actors and tasks for which no node of the cluster is large enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import ray

from nbactors.cluster.common.timing import later
from nbactors.cluster.preflight.fitness import Report, misfits

PATIENCE_S = 5.0
"""Seconds before an actor is told of: a node may be about to join."""

KEPT = 1000
"""Combinations of amounts that are told of once."""


class Wanted:
    """The amounts that actors and tasks of a session have asked for. Any thread.

    Ray waits for a larger node without a word.

    Args:
        warn: Shows a text.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._known: set[tuple[tuple[str, float], ...]] = set()

    def note(self, label: str, options: Mapping[str, Any]) -> None:
        """Note what an actor or task asks for. Returns at once; tells of it later.

        Args:
            label: The name of the class or function.
            options: Ray's options.
        """
        if options.get("scheduling_strategy") not in (None, "DEFAULT", "SPREAD"):
            return  # its placement group or node is what it waits for
        wanted = amounts(options)
        key = tuple(sorted(wanted.items()))
        if key not in self._known and len(self._known) < KEPT:
            self._known.add(key)
            later(PATIENCE_S, partial(self._check, label, wanted))

    def _check(self, label: str, wanted: Mapping[str, float]) -> None:
        try:
            nodes = [
                Report(node["NodeManagerAddress"], "", "", {}, node["Resources"])  # of one version, or Ray had refused
                for node in ray.nodes()
                if node["Alive"]
            ]
        except Exception:  # noqa: BLE001 - the session has ended
            return
        for misfit in misfits(Report("", "", "", {}, {}), nodes, {}, wanted):
            self._warn(f"{label} waits: {misfit.text}; {misfit.mend}.")


def amounts(options: Mapping[str, Any]) -> dict[str, float]:
    """Return the amounts by resource that Ray's options ask for. An actor or task is placed where one CPU is free."""
    found = {"CPU": options.get("num_cpus", 1), "GPU": options.get("num_gpus"), "memory": options.get("memory")}
    found.update(options.get("resources") or {})
    if options.get("accelerator_type"):
        found[f"accelerator_type:{options['accelerator_type']}"] = 0.001
    return {name: float(amount) for name, amount in found.items() if amount}
