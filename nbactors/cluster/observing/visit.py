"""`Visit`: what runs on a cluster, for a process that has no session there, such as the command line."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray
from ray.util import list_named_actors

from nbactors import exceptions
from nbactors.cluster.common.hubs import NAMESPACE, hub_named
from nbactors.cluster.common.reachable import check_reachable
from nbactors.cluster.observing.actor_rows import actor_rows
from nbactors.exceptions.source_lines import with_sources

HUB_S = 10.0
"""Seconds in which a hub answers, beside those that a host may take."""

_AT_ONCE = 16
"""The most actors that are asked at the same time."""


class Visit:
    """Joins a cluster as a driver that starts nothing there, until `close`. Methods block. Any thread.

    Args:
        address: That of the cluster, as for `init`.

    Raises:
        RaySystemError: No cluster answers at the address, or its versions are not those of this environment.
    """

    def __init__(self, address: str) -> None:
        check_reachable(address)
        os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise exceptions.RaySystemError(f"the cluster at {address!r} cannot be joined: {error}") from error

    def close(self) -> None:
        """Leave the cluster."""
        ray.shutdown()

    def actors(self) -> list[dict[str, Any]]:
        """Return a row for each actor, see `nbactors.util.state.list_actors`, with `has_session`."""
        living = {job["JobID"] for job in self._jobs()}
        return [{**row, "has_session": row["job_id"] in living} for row in actor_rows()]

    def status(self) -> dict[str, Any]:
        """Return `address`, `nodes` (living ones, of Ray's own columns), `sessions`, `resources` and `available`."""
        return {
            "address": ray.get_runtime_context().gcs_address,
            "nodes": [node for node in ray.nodes() if node["Alive"]],
            "sessions": len(self._jobs()),
            "resources": _amounts(ray.cluster_resources()),
            "available": _amounts(ray.available_resources()),
        }

    def stack(self, row: dict[str, Any], timeout: float) -> str:
        """Return what an actor does now, see `nbactors.util.state.stack`.

        Args:
            row: The actor's.
            timeout: Seconds in which it has to answer.

        Raises:
            ValueError: No living session has called it, so it answers nobody.
            TimeoutError: It has not answered in this time.
        """
        return with_sources(str(self._order(row, "stack", timeout)))

    def running(self, rows: list[dict[str, Any]], timeout: float) -> list[dict[str, Any]]:
        """Return the calls that run in actors, as far as these answer.

        Args:
            rows: Those of the actors.
            timeout: Seconds in which each has to answer.

        Returns:
            Rows with `task_id`, `name`, `actor_id`, `since` (seconds since 1970, by the clock of the actor's node) and
            `span` (seconds since its begin).
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(lambda row: self._inspected(row, timeout), rows))
        return [
            {
                "task_id": call["task_id"],
                "name": call["name"],
                "actor_id": row["actor_id"],
                "since": call["since"],
                "span": max(answer["at"] - call["since"], 0.0),
            }
            for row, answer in zip(rows, answers, strict=True)
            for call in answer.get("running", ())
        ]

    def _inspected(self, row: dict[str, Any], timeout: float) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._order(row, "inspect", timeout)
        except (ValueError, TimeoutError, ray.exceptions.RayError):
            return {}
        return found

    def _order(self, row: dict[str, Any], name: str, timeout: float) -> Any:
        """Have an actor's host carry out an order by the hub of a session that it knows, and return its answer."""
        address = bytes.fromhex(row["actor_id"])
        for hub in self._hubs(row["job_id"]):
            try:
                if not ray.get(hub.knows.remote(address), timeout=HUB_S):
                    continue
                return ray.get(hub.order.remote(address, name, (), timeout), timeout=timeout + HUB_S)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, TimeoutError):
                    raise TimeoutError(
                        f"the actor has not answered within {timeout:g} s: code in it keeps the GIL"
                    ) from None
                raise error.cause from None
            except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
                continue  # its session ends
        raise ValueError("no session of nbactors that lives has created or called this actor, so it answers nobody")

    def _hubs(self, job_id: str) -> list[Any]:
        """Return the handles of the hubs, that of a session first."""
        rows = list_named_actors(all_namespaces=True)
        names = [row["name"] for row in rows if row["namespace"] == NAMESPACE]
        names.sort(key=lambda name: not name.startswith(f"hub-{job_id}-"))
        return [hub for hub in map(hub_named, names) if hub is not None]

    def _jobs(self) -> list[dict[str, Any]]:
        """Return Ray's rows of the living sessions, this visit left out."""
        own = ray.get_runtime_context().get_job_id()
        return [job for job in ray._private.state.jobs() if not job["IsDead"] and job["JobID"] != own]


def _amounts(resources: dict[str, float]) -> dict[str, float]:
    """Return resources without Ray's marks of single nodes."""
    return {name: amount for name, amount in resources.items() if not name.startswith("node:")}
