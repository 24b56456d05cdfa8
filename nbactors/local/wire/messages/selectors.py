"""Labels of a session's node, and demands on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from nbactors.limits import MAX_KINDS
from nbactors.local.wire.messages.message import Message, Name

Labels = Annotated[dict[Name, Name], Meta(max_length=MAX_KINDS)]


class LabelTerm(Message, frozen=True):
    """A demand on one label, see `nbactors.options.labels`."""

    key: Name
    operator: Literal["in", "not_in", "exists", "absent"]
    values: Annotated[list[Name], Meta(max_length=MAX_KINDS)]


Selector = Annotated[list[LabelTerm], Meta(max_length=MAX_KINDS)]
"""Terms that must all hold."""
Selectors = Annotated[list[Selector], Meta(max_length=MAX_KINDS)]
"""The node must fulfil one of them; an empty list demands nothing."""


def selectors(given: Iterable[Iterable[tuple[str, str, Iterable[str]]]]) -> list[list[LabelTerm]]:
    """Return the selectors of options. Any thread."""
    return [
        [LabelTerm(key, operator, list(values)) for key, operator, values in terms]  # type: ignore[arg-type] # checked
        for terms in given
    ]
