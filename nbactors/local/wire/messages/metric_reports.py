"""Messages about metrics."""

from typing import Annotated, Literal

from msgspec import Meta

from nbactors.local.wire.messages.message import Count, Message, Name

MAX_POINTS = 500
"""The most points in one message."""

_MAX_BUCKETS = 1000
_MAX_TAGS = 100


class MetricPoint(Message, tag=152, frozen=True):
    """What a process has recorded of one metric with the same tags since its last report.

    Attributes:
        value: Of a counter the increase, of a gauge the last value, of a histogram the sum of the values.
        counts: Of a histogram the number of values in each bucket; the last one has no upper end.
        boundaries: Of a histogram the upper ends of the other buckets.
    """

    kind: Literal["counter", "gauge", "histogram"]
    name: Name
    description: Name
    tags: Annotated[dict[Name, Name], Meta(max_length=_MAX_TAGS)]
    value: float
    counts: Annotated[list[Count], Meta(max_length=_MAX_BUCKETS + 1)]
    boundaries: Annotated[list[float], Meta(max_length=_MAX_BUCKETS)]


class Metrics(Message, tag=153, frozen=True):
    """A process reports what its metrics have recorded since its last report."""

    points: Annotated[list[MetricPoint], Meta(max_length=MAX_POINTS)]
