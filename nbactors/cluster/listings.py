"""Facts of Ray's table of placement groups, in the form that the local engine has."""

from __future__ import annotations

import ray

from nbactors.engine.base import GroupFacts


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
