"""`get_object_locations`: where objects are, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbactors import engine
from nbactors.object_ref import ObjectRef
from nbactors.util import state

_WHOLE_TIMEOUT_S = 30.0


def get_object_locations(obj_refs: Sequence[ObjectRef[Any]], timeout_ms: int = -1) -> dict[ObjectRef[Any], Any]:
    """Return where objects are, and how large they are. Any thread. Blocks, but does not wait for calls.

    Asks the processes that have an object, if this one does not have it. Follows Ray's function.

    Args:
        obj_refs: References to the objects.
        timeout_ms: The most milliseconds to wait for the answer of another process; -1 for 30 seconds.

    Returns:
        For each reference `node_ids`, a list with the id of the node, empty for an object that is not made yet or whose
        call has failed; and `object_size` in bytes, None if it is not known.

    Raises:
        RuntimeError: No session is open.
        TypeError: `obj_refs` holds something else.
        NotImplementedError: The session is on a Ray cluster.
    """
    found = get_local_object_locations(obj_refs)
    timeout = _WHOLE_TIMEOUT_S if timeout_ms < 0 else timeout_ms / 1000
    missing = {ref.hex(): ref for ref in found if not found[ref]["node_ids"]}
    if missing:
        for row in state.list_objects(limit=state.MANY, timeout=timeout):
            ref = missing.get(row.object_id)
            if ref is not None and row.object_size >= 0:
                found[ref] = _location(row.object_size)
    return found


def get_local_object_locations(obj_refs: Sequence[ObjectRef[Any]]) -> dict[ObjectRef[Any], Any]:
    """Return what this process itself knows of it. Any thread; does not block. Else as `get_object_locations`."""
    running = engine.running()
    if running is None:
        raise RuntimeError("Ray hasn't been initialized.")
    if running.name != "local":
        raise NotImplementedError(
            "get_object_locations(): a session on a Ray cluster does not know on which of its nodes an object is: "
            "`ray memory` does"
        )
    for ref in obj_refs:
        if not isinstance(ref, ObjectRef):
            raise TypeError(f"get_object_locations() takes a list of ObjectRef. Got: {ref!r:.80}")
    found = {}
    for ref in obj_refs:
        facts = ref._entry.facts()
        found[ref] = _location(facts.size) if facts.state == "ready" else {"node_ids": [], "object_size": None}
    return found


def _location(size: int) -> dict[str, Any]:
    return {"node_ids": [engine.current().runtime_facts().node_id.hex()], "object_size": size}
