"""Metrics of user code, with the names and arguments of `ray.util.metrics`, as text for Prometheus.

    calls = Counter("calls", description="Handled calls.", tag_keys=("kind",))
    calls.inc(tags={"kind": "read"})
    print(prometheus_text())

A metric may be made and used in any process of a session: scripts, notebooks, actors, tasks. Each process reports twice
a second to the node, which adds up the counters and histograms of all processes. A gauge has one value per process,
which is told by the label `WorkerId`, and goes with the process. As in Ray the names get the prefix `ray_`, and those
of counters the suffix `_total`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nbactors import engine
from nbactors.exceptions.user_warning import warn_user
from nbactors.frontend.metric_points import COUNTER, GAUGE, HISTOGRAM, POINTS, Definition, Point, Tags

__all__ = ["Counter", "Gauge", "Histogram", "Metric", "prometheus_text"]

MAX_LENGTH = 1000
"""The most characters of a name."""

_NUMBER = (int, float)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class Metric:
    """The base class of all metrics. It has no method that records.

    Args:
        name: Letters, digits and underscores. With another name, a warning is given and nothing is recorded, as in Ray.
        description: Shown beside the values.
        tag_keys: The names of the tags, each of which has a value with every record.

    Raises:
        TypeError: `tag_keys` is no tuple of texts.
        ValueError: The name is empty.
    """

    _kind = ""

    def __init__(self, name: str, description: str = "", tag_keys: tuple[str, ...] | None = None) -> None:
        if len(name) == 0:
            raise ValueError("Empty name is not allowed. Please provide a metric name.")
        self._is_valid = _NAME.fullmatch(name) is not None and len(name) <= MAX_LENGTH
        if not self._is_valid:
            warn_user(
                f"Invalid metric name: {name:.80}. Metric will be discarded and data will not be collected or "
                "published. Metric names can only contain letters, numbers, _, and :. Metric names cannot start with "
                "numbers."
            )
        keys = tag_keys or ()
        if not isinstance(keys, tuple):
            raise TypeError(f"tag_keys should be a tuple type, got: {type(keys)}")
        for key in keys:
            if not isinstance(key, str):
                raise TypeError(f"Tag keys must be str, got {type(key)}.")
        self._tag_keys = keys
        self._default_tags: dict[str, str] = {}
        self._points: dict[Tags, Point] = {}
        self._known: dict[tuple[tuple[str, str], ...], Point] = {}
        """The points by the tags as they were given, which were checked then."""
        self._definition = Definition(self._kind, name, description)

    def set_default_tags(self, default_tags: Mapping[str, str]) -> Any:
        """Set the values of tags that a record does not give. Returns the metric itself.

        Raises:
            TypeError: A value is no text.
            ValueError: A key is none of the metric's `tag_keys`.
        """
        for key, value in default_tags.items():
            if key not in self._tag_keys:
                raise ValueError(f"Unrecognized tag key {key}.")
            _check_value(value)
        self._default_tags = dict(default_tags)
        self._known = {}
        return self

    @property
    def info(self) -> dict[str, Any]:
        """The metric's `name`, `description`, `tag_keys` and `default_tags`."""
        return {
            "name": self._definition.name,
            "description": self._definition.description,
            "tag_keys": self._tag_keys,
            "default_tags": self._default_tags,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (type(self), self._arguments(), self._default_tags)

    def _arguments(self) -> tuple[Any, ...]:
        return self._definition.name, self._definition.description, self._tag_keys

    def _record(self, value: float, tags: Mapping[str, str] | None) -> None:
        if not isinstance(value, _NUMBER):
            raise TypeError(f"value must be int or float, got {type(value)}.")
        given = tuple(tags.items()) if tags else ()
        point = self._known.get(given)
        if point is None:
            point = self._known[given] = self._point(tags or {})
        if self._is_valid:
            POINTS.record(point, value)

    def _point(self, given: Mapping[str, str]) -> Point:
        for value in given.values():
            _check_value(value)
        tags = {**self._default_tags, **given}
        missing = [key for key in self._tag_keys if key not in tags]
        if missing:
            raise ValueError(f"Missing value for tag key(s): {','.join(missing)}.")
        key = tuple(sorted(tags.items()))
        point = self._points.get(key)
        return self._points.setdefault(key, Point(self._definition, key)) if point is None else point


class Counter(Metric):
    """A number that only grows. Arguments and errors: see `ray.util.metrics.Counter`. Any thread."""

    _kind = COUNTER

    def inc(self, value: float = 1.0, tags: Mapping[str, str] | None = None) -> None:
        """Add to the counter.

        Args:
            value: What to add, above 0.
            tags: Values of the tags, in place of default ones.

        Raises:
            TypeError: The value is no number, or the value of a tag no text.
            ValueError: The value is not above 0, or a tag has no value.
        """
        if isinstance(value, _NUMBER) and value <= 0:
            raise ValueError(f"value must be >0, got {value}")
        self._record(value, tags)


class Gauge(Metric):
    """A number that goes up and down, of each process. Arguments: see `ray.util.metrics.Gauge`. Any thread."""

    _kind = GAUGE

    def set(self, value: float | None, tags: Mapping[str, str] | None = None) -> None:
        """Set the gauge; None changes nothing. Arguments and errors: see `Counter.inc`."""
        if value is not None:
            self._record(value, tags)


class Histogram(Metric):
    """How many values lie in each of some buckets. Any thread.

    Args:
        name, description, tag_keys: As of the other metrics.
        boundaries: The upper ends of the buckets, above 0, in ascending order.

    Raises:
        TypeError: See `Counter`.
        ValueError: There are no boundaries, or they are not positive.
    """

    _kind = HISTOGRAM

    def __init__(
        self,
        name: str,
        description: str = "",
        boundaries: Sequence[float] | None = None,
        tag_keys: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(name, description, tag_keys)
        if not boundaries:
            raise ValueError(
                "boundaries argument should be provided when using the Histogram class. e.g., "
                'Histogram("name", boundaries=[1.0, 2.0])'
            )
        for index, boundary in enumerate(boundaries):
            if boundary <= 0:
                raise ValueError(
                    f"Invalid `boundaries` argument at index {index}, {boundaries}. Use positive values for the "
                    "arguments."
                )
        self.boundaries = list(boundaries)
        self._definition = self._definition._replace(boundaries=tuple(sorted(map(float, boundaries))))

    def observe(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        """Count a value. Arguments and errors: see `Counter.inc`; any number is allowed."""
        self._record(value, tags)

    @property
    def info(self) -> dict[str, Any]:
        """As of the other metrics, and `boundaries`."""
        return {**super().info, "boundaries": self.boundaries}

    def _arguments(self) -> tuple[Any, ...]:
        name, description, tag_keys = super()._arguments()
        return name, description, self.boundaries, tag_keys


def prometheus_text() -> str:
    """Return the metrics of all processes and of the node itself, in Prometheus' text format.

    Starts nothing: without a node the text is empty. What this process has recorded is in it; other processes report
    twice a second. Blocks for the node's answer. `nbactors metrics` prints the same text.

    Raises:
        OSError: The node does not answer.
    """
    running = engine.running()
    if running is not None:
        return running.metrics()
    return engine.observe().metrics()


def _check_value(value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"Tag values must be str, got {type(value)}.")


def _remake(kind: type[Metric], arguments: tuple[Any, ...], default_tags: dict[str, str]) -> Any:
    return kind(*arguments).set_default_tags(default_tags)
