"""Finds an object of this process by its id, which user code or another process has as bytes."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from nbactors.local.objects.entry import Entry
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.local.objects.home import Home


def own_ref(home: Home, oid: bytes) -> ObjectRef[Any] | None:
    """Return the reference to an own object that lives; None if there is none with this id. Any thread.

    A process has no table of its entries, because each `put` and each call would pay for it. The garbage collector
    knows all objects of the interpreter: a look through a million of them takes some ten milliseconds.
    """
    found: Entry | None = None
    for thing in gc.get_objects():
        kind = type(thing)
        if kind is ObjectRef:
            entry = getattr(thing, "_entry", None)
            if type(entry) is Entry and entry.home is home and entry.id == oid:
                return thing  # type: ignore[no-any-return] # a reference
        elif kind is Entry and hasattr(thing, "call") and thing.home is home and thing.id == oid:
            found = thing
    return ObjectRef(found) if found is not None else None
