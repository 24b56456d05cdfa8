"""How `wait` splits its references."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from nbactors.engine.unready_list import UnreadyList
from nbactors.local.objects.object_life import PENDING, READY
from nbactors.local.objects.splitting import split

SIZE = 5
PATTERNS = list(itertools.product([False, True], repeat=SIZE))


class Record:
    def __init__(self, is_ready: bool) -> None:
        self.state = READY if is_ready else PENDING


class Ref:
    def __init__(self, is_ready: bool) -> None:
        self._entry = Record(is_ready)


def plainly(refs: list[Any], num_returns: int) -> tuple[list[Any], list[Any]]:
    ready = [ref for ref in refs if ref._entry.state >= READY][:num_returns]
    return ready, [ref for ref in refs if ref not in ready]


@pytest.mark.parametrize("kind", [list, UnreadyList])
@pytest.mark.parametrize("num_returns", range(1, SIZE + 1))
def test_the_first_ready_ones_are_taken_out_and_all_keep_their_order(kind: type[list[Any]], num_returns: int) -> None:
    for pattern in PATTERNS:
        refs: Any = kind(map(Ref, pattern))
        before = list(refs)
        assert split(refs, num_returns) == plainly(refs, num_returns), pattern
        assert refs == before


@pytest.mark.parametrize("num_returns", range(1, SIZE + 1))
def test_the_rest_need_not_be_checked_again(num_returns: int) -> None:
    for pattern in PATTERNS:
        refs: Any = list(map(Ref, pattern))
        _, unready = split(refs, num_returns)
        assert type(unready) is UnreadyList
        assert not unready.grown
        assert unready is not refs
