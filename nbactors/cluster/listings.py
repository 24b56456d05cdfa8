"""Rows of Ray's tables in the form that the local engine has."""

from __future__ import annotations

from typing import Any

import ray

from nbactors.engine.base import GroupFacts


def actor_rows() -> list[dict[str, Any]]:
    """Return a row for each actor of the cluster, with the keys of `ray list actors`."""
    table = ray._private.state.actors()
    return [
        {
            "actor_id": row["ActorID"],
            "class_name": row["ActorClassName"],
            "state": row["State"],
            "job_id": row["JobID"],
            "name": row["Name"],
            "node_id": row["Address"]["NodeID"],
            "pid": row["Pid"],
            "ray_namespace": row.get("RayNamespace", ""),
            "is_detached": row["IsDetached"],
            "restarts": row["NumRestarts"],
        }
        for row in table.values()
        if row["ActorClassName"] != "Hub"
    ]


def group_facts() -> list[GroupFacts]:
    """Return the facts about all placement groups."""
    return [
        GroupFacts(
            bytes.fromhex(ident),
            list(row["bundles"].values()),
            row["strategy"],
            row["name"],
            "",
            False,
            b"",
            row["state"],
            "resources" if row["state"] == "PENDING" else "",
            next(iter(row["bundles_to_node_id"].values()), ""),
        )
        for ident, row in ray.util.placement_group_table().items()
    ]
