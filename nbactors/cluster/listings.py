"""Facts of Ray's table of placement groups, in the form that the local engine has."""

from __future__ import annotations

from typing import Any

import ray

from nbactors.engine.base import GroupFacts


def group_facts() -> list[GroupFacts]:
    """Return the facts about all placement groups."""
    from ray.core.generated import gcs_pb2  # noqa: PLC0415 - few programs have groups

    # Ray's own table of groups has no namespaces.
    accessor = ray._private.state.state._connect_and_get_accessor()
    return [_facts(gcs_pb2.PlacementGroupTableData.FromString(row)) for row in accessor.get_placement_group_table()]


def _facts(row: Any) -> GroupFacts:
    from ray.core.generated import common_pb2  # noqa: PLC0415 - as above

    state = row.PlacementGroupState.Name(row.state)
    bundles = sorted(row.bundles, key=lambda bundle: bundle.bundle_id.bundle_index)
    return GroupFacts(
        row.placement_group_id,
        [dict(bundle.unit_resources) for bundle in bundles],
        common_pb2.PlacementStrategy.Name(row.strategy),
        row.name,
        row.ray_namespace,
        row.is_detached,
        row.creator_job_id,
        "PENDING" if state == "PREPARED" else state,
        "resources" if state in ("PENDING", "RESCHEDULING") else "",
        [bundle.node_id.hex() for bundle in bundles],
    )
