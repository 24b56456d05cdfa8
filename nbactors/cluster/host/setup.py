"""`Setup`: what a host gets beside the arguments of the user's constructor."""

from __future__ import annotations

from typing import Any, NamedTuple

from nbactors.cluster.host.call import Call
from nbactors.definitions.metadata import ActorMeta


class Setup(NamedTuple):
    """What a host is made of.

    Attributes:
        call: The call of the constructor.
        cls: The user's class. While it travels, a `ByName` may stand for it.
        meta: Its metadata.
        label: What its lines begin with.
        is_plain: Whether one call runs at a time, on the main thread.
        limits: How many calls each concurrency group runs at the same time, the default group "" first.
    """

    call: Call
    cls: Any
    meta: ActorMeta
    label: str
    is_plain: bool
    limits: dict[str, int]
