"""Messages to the node that are well formed and have any values."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec

from nbactors.local.wire import messages

NUMBERS = [-(2**63), -1, 0, 1, 7, 2**31, 2**63 - 1, 2**64 - 1]
FLOATS = [-math.inf, -1.0, 0.0, 0.00001, 1.0, 2.0, 1024.0, 1e9, 1e15, 1e308, math.inf, math.nan]
TEXTS = ["", "f", "killed", "actors", "named_actors", "status", "worker", "session", "\0", "é" * 5000, "x" * 70_000]


class Chaos:
    """Makes messages whose fields have the right types and any values."""

    def __init__(self, seed: int, known: list[bytes]) -> None:
        self.random = random.Random(seed)
        self.known = known

    def value(self, kind: Any) -> Any:
        """Return any value of a type."""
        random = self.random
        if isinstance(kind, msgspec.inspect.Metadata):
            return self.value(kind.type)
        if isinstance(kind, msgspec.inspect.IntType):
            return random.choice([*NUMBERS, random.randrange(1, 20)])
        if isinstance(kind, msgspec.inspect.FloatType):
            return random.choice(FLOATS)
        if isinstance(kind, msgspec.inspect.BoolType):
            return random.random() < 0.5
        if isinstance(kind, msgspec.inspect.StrType):
            return random.choice(TEXTS)
        if isinstance(kind, msgspec.inspect.LiteralType):
            return random.choice(kind.values)
        if isinstance(kind, msgspec.inspect.BytesType):
            return random.choice([b"", b"x", random.randbytes(16), b"y" * 100_000, *self.known * 3])
        if isinstance(kind, msgspec.inspect.ListType):
            return [self.value(kind.item_type) for _ in range(random.choice([0, 1, 2, 50]))]
        if isinstance(kind, msgspec.inspect.DictType):
            size = random.choice([0, 1, 2, 3])
            return {random.choice(["CPU", "GPU", "memory", str(n)]): self.value(kind.value_type) for n in range(size)}
        if isinstance(kind, msgspec.inspect.UnionType):
            return self.value(random.choice(kind.types))
        if isinstance(kind, msgspec.inspect.StructType):
            return self.message(kind)
        assert isinstance(kind, msgspec.inspect.NoneType), kind
        return None

    def message(self, kind: msgspec.inspect.StructType) -> Any:
        return kind.cls(*[self.value(field.type) for field in kind.fields])


def kinds_of_messages() -> list[msgspec.inspect.StructType]:
    union = msgspec.inspect.type_info(messages.Control)
    assert isinstance(union, msgspec.inspect.UnionType)
    kinds = [kind for kind in union.types if isinstance(kind, msgspec.inspect.StructType)]
    return [kind for kind in kinds if kind.cls is not messages.Stop]  # which rightly ends all sessions
