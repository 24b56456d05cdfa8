"""How Ray's name of a call tells its facts, and when calls were submitted that do not tell it."""

from __future__ import annotations

import pytest

from nbactors.cluster.common.call_names import name_of, read_name
from nbactors.cluster.observing import submissions as module
from nbactors.cluster.observing.submissions import Submissions


@pytest.mark.parametrize(("cell", "name"), [(0, "Counter.add"), (12, "Counter.add [12]")])
def test_a_name_tells_the_label_and_the_cell(cell: int, name: str) -> None:
    assert name_of("Counter.add", cell) == name
    assert read_name(name) == ("Counter.add", cell)


def number(index: int) -> bytes:
    return index.to_bytes(8, "little") + bytes(16)


def test_the_latest_submissions_are_known_and_no_more_than_twice_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    submissions = Submissions()
    for index in range(1, 8):
        submissions.note(number(index) + b"\1\0\0\0", float(index))
    assert [submissions.of(number(index)) for index in range(1, 8)] == [
        None,
        None,
        None,
        *[(float(index), b"") for index in range(4, 8)],
    ]
