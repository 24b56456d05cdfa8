"""How `wait` splits its references."""

from __future__ import annotations

import gc
import itertools
import random
import sys
from typing import Any

import pytest

from nbactors import speedups
from nbactors.engine.unready_list import UnreadyList
from nbactors.local.objects import splitting
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.object_life import ASKED, LOST, PENDING, READY
from nbactors.local.objects.splitting import split
from nbactors.object_ref import ObjectRef

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


needs_the_compiled_part = pytest.mark.skipif(speedups.compiled is None, reason=f"not there: {speedups.why_not}")


def own(states: list[int]) -> list[ObjectRef[Any]]:
    """Return references to own objects in these states."""
    refs = [ObjectRef[Any](Entry(None, number)) for number in range(len(states))]  # type: ignore[arg-type]
    for ref, state in zip(refs, states, strict=True):
        ref._entry.state = state
    return refs


@needs_the_compiled_part
@pytest.mark.parametrize("kind", [list, UnreadyList])
@pytest.mark.parametrize("seed", range(20))
def test_both_forms_split_alike(kind: type[list[Any]], seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    likely = rng.choice([[PENDING], [PENDING, PENDING, ASKED, READY, LOST], [READY, PENDING]])
    refs = kind(own(rng.choices(likely, k=rng.randrange(1, 40))))
    before, compiled = list(refs), splitting.split_one
    quickly = split(refs, 1)
    assert (compiled is not None, refs, type(quickly[1]), quickly[1].grown) == (True, before, UnreadyList, False)
    monkeypatch.setattr(splitting, "split_one", None)
    assert split(refs, 1) == quickly
    assert sorted(map(id, [*quickly[0], *quickly[1]])) == sorted(map(id, before))


@needs_the_compiled_part
def test_what_is_no_reference_to_an_object_is_left_to_the_steps_in_python() -> None:
    compiled: Any = splitting.split_one
    refs: Any = own([READY, READY])
    assert compiled([Ref(True), *refs], UnreadyList) is None
    assert compiled([], UnreadyList) is None
    assert compiled((), UnreadyList) is None
    assert compiled(type("OwnList", (list,), {})(refs), UnreadyList) is None, "it may have an iterator of its own"
    assert compiled(refs, list) == (refs[:1], refs[1:])
    del refs[0]._entry.state
    assert compiled(refs, UnreadyList) is None
    del refs[0]._entry
    assert compiled(refs, UnreadyList) is None
    for arguments in ((refs,), (refs, tuple), (refs, UnreadyList())):
        with pytest.raises(TypeError, match="takes a list"):
            compiled(*arguments)


@needs_the_compiled_part
def test_a_split_leaks_nothing() -> None:
    refs: Any = UnreadyList(own([PENDING, READY, PENDING]))
    counts = [sys.getrefcount(ref) for ref in refs]
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(1000):
        split(refs, 1)
    assert [sys.getrefcount(ref) for ref in refs] == counts
    assert sys.getallocatedblocks() - before < 50


@needs_the_compiled_part
def test_no_lack_of_memory_leaves_half_a_split() -> None:
    testcapi = pytest.importorskip("_testcapi")
    compiled: Any = splitting.split_one
    refs: Any = UnreadyList(own([PENDING, READY, PENDING]))
    counts = [sys.getrefcount(ref) for ref in refs]
    done = 0
    for first in range(20):
        found = None
        testcapi.set_nomemory(first, first + 1)
        try:
            found = compiled(refs, UnreadyList)
        except MemoryError:
            pass
        finally:
            testcapi.remove_mem_hooks()
        assert found in (None, ([refs[1]], [refs[0], refs[2]]))
        done += found is not None
        found = None
        assert [sys.getrefcount(ref) for ref in refs] == counts
    assert done > 0
