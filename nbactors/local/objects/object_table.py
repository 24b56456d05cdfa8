"""Lists the objects of a process, when a reader asks for them."""

from __future__ import annotations

import gc
from itertools import islice
from typing import TYPE_CHECKING

from nbactors.local.objects.entry import BorrowedEntry, Entry
from nbactors.local.objects.object_life import PENDING, READY
from nbactors.local.wire import messages
from nbactors.object_ref import ObjectRef

if TYPE_CHECKING:
    from nbactors.local.connections.connection import Connection


def answer(connection: Connection, asked: messages.AskObjects) -> None:
    """Send the rows of this process's objects to a reader of the state API. The leader's thread.

    The process keeps no list of its entries, because each `put` and each call would pay for it. The garbage collector
    knows all objects of the interpreter: a look through a million of them takes some ten milliseconds.
    """
    entries: list[Entry] = []
    referred: set[int] = set()
    for thing in gc.get_objects():
        kind = type(thing)
        if kind is ObjectRef:
            referred.add(id(getattr(thing, "_entry", None)))
        elif kind is Entry or kind is BorrowedEntry:
            entries.append(thing)
    # An entry without the last attribute of `__init__` is being made on another thread just now.
    made = [entry for entry in entries if hasattr(entry, "call")]
    rows = [_row(entry, is_referred=id(entry) in referred) for entry in islice(made, asked.limit)]
    connection.send_now(messages.Objects(len(made), rows))


def _row(entry: Entry, *, is_referred: bool) -> messages.ObjectRow:
    state, facts, call = entry.state, entry.facts(), entry.call
    if state >= READY:
        status = "FINISHED" if state == READY else "FAILED"
    else:
        status = "SUBMITTED_TO_WORKER" if call is not None and call.facts().sent else "PENDING_NODE_ASSIGNMENT"
    if is_referred:
        reference = "LOCAL_REFERENCE"
    elif call is not None or state == PENDING:
        reference = "USED_BY_PENDING_TASK"
    else:  # another process borrows it, or another value contains it
        reference = "PINNED_IN_MEMORY"
    return messages.ObjectRow(entry.id, facts.size if state == READY else -1, status, reference)
