"""How `wait` splits its references into ready ones and others."""

from __future__ import annotations

from typing import Any

from nbactors.engine.unready_list import UnreadyList
from nbactors.local.objects.object_life import READY
from nbactors.object_ref import ObjectRef
from nbactors.speedups.caller import split_one


def split(refs: list[ObjectRef[Any]], num_returns: int) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
    """Return the first `num_returns` ready references, in order, and the others.

    The loop `while refs: ready, refs = wait(refs)` makes this quadratic. So the references that stay are copied by
    slices, and only those before the last ready one are looked at.
    """
    if num_returns == 1:
        found = split_one(refs, UnreadyList) if split_one is not None else None
        if found is not None:
            return found
        for index, ref in enumerate(refs):
            if ref._entry.state >= READY:
                # Making a list from a subclass of list goes through its iterator, which is five times slower.
                if not index:
                    return [ref], UnreadyList(refs[1:])
                rest = refs[:]
                del rest[index]
                return [ref], UnreadyList(rest)
        return [], UnreadyList(refs[:])
    ready: list[ObjectRef[Any]] = []
    unready: UnreadyList[ObjectRef[Any]] = UnreadyList()
    start = 0  # of the unready references that were not copied yet
    for index, ref in enumerate(refs):
        if ref._entry.state >= READY:
            if start < index:
                list.extend(unready, refs[start:index])  # the list's own method, since nothing new comes in
            start = index + 1
            ready.append(ref)
            if len(ready) == num_returns:
                break
    list.extend(unready, refs[start:])
    return ready, unready
