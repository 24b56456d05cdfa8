"""Makes facts about placement groups of the node's answer. Sessions and observers ask for it."""

from __future__ import annotations

from nbactors.engine import GroupFacts
from nbactors.local.wire import messages


def group_facts(listing: messages.Listing) -> list[GroupFacts]:
    """Return the facts of the answer to the query "placement_groups"."""
    node_id = listing.facts["node_id"]
    return [
        GroupFacts(
            row.creation.group_id,
            row.creation.bundles,
            row.creation.strategy,
            row.creation.name,
            row.namespace,
            row.creation.detached,
            row.job_id,
            row.state,
            row.waits_for,
            [node_id if row.state != "PENDING" else ""] * len(row.creation.bundles),
        )
        for row in listing.groups
    ]
