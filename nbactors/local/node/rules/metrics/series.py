"""`Series`: the reported values of all processes."""

from __future__ import annotations

from collections.abc import Iterable

from nbactors.local.wire import messages

MAX_SERIES = 5000
"""The most values that are kept; further ones are dropped, since tags can have any number of values."""

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]
"""The suffix of the name, the labels and the value of one line."""


class Series:
    """Values by name and labels. Counters and histograms of all processes are added up."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, Labels], messages.MetricPoint] = {}
        self._gauges: dict[bytes, set[tuple[str, Labels]]] = {}

    def report(self, process_id: bytes, points: list[messages.MetricPoint]) -> None:
        """Add what a process has reported."""
        for point in points:
            labels = tuple(sorted(point.tags.items()))
            if point.kind == "gauge":
                labels += (("WorkerId", process_id.hex()),)
            key = (point.name, labels)
            known = self._values.get(key)
            if known is None and len(self._values) >= MAX_SERIES:
                continue
            if point.kind == "gauge":
                self._gauges.setdefault(process_id, set()).add(key)
            self._values[key] = point if known is None or point.kind == "gauge" else _sum(known, point)

    def forget(self, process_id: bytes) -> None:
        """Drop the gauges of a process that has ended."""
        for key in self._gauges.pop(process_id, ()):
            self._values.pop(key, None)

    def lines(self) -> Iterable[str]:
        """Return the text, line by line."""
        by_name: dict[str, list[tuple[Labels, messages.MetricPoint]]] = {}
        for (name, labels), point in self._values.items():
            by_name.setdefault(name, []).append((labels, point))
        for name, points in sorted(by_name.items()):
            first = points[0][1]
            whole = f"ray_{name}" + ("_total" if first.kind == "counter" and not name.endswith("_total") else "")
            samples = [
                sample for labels, point in points if point.kind == first.kind for sample in _samples(labels, point)
            ]
            yield from family(whole, first.kind, first.description, samples)


def family(name: str, kind: str, description: str, samples: Iterable[Sample]) -> Iterable[str]:
    """Return the lines of one metric."""
    text = description.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for suffix, labels, value in samples:
        listed = ",".join(f'{_label(key)}="{_escaped(text)}"' for key, text in labels)
        yield f"{name}{suffix}{'{' + listed + '}' if listed else ''} {value:.17g}"


def _samples(labels: Labels, point: messages.MetricPoint) -> Iterable[Sample]:
    if point.kind != "histogram":
        yield "", labels, point.value
        return
    count = 0
    for boundary, more in zip([*point.boundaries, None], point.counts, strict=False):
        count += more
        yield "_bucket", (*labels, ("le", "+Inf" if boundary is None else f"{boundary:g}")), count
    yield "_sum", labels, point.value
    yield "_count", labels, count


def _sum(known: messages.MetricPoint, point: messages.MetricPoint) -> messages.MetricPoint:
    if known.kind != point.kind or known.boundaries != point.boundaries:
        return known  # two processes have given one name to two metrics: the first one counts
    counts = [one + other for one, other in zip(known.counts, point.counts, strict=True)]
    return messages.MetricPoint(
        point.kind, point.name, point.description, point.tags, known.value + point.value, counts, point.boundaries
    )


def _label(key: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter == "_") else "_" for letter in key)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
