"""`experimental.get_object_locations`: where objects are, and how large."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors as ray
from nbactors.experimental import get_local_object_locations, get_object_locations


@pytest.fixture
def session(own_directory: Path) -> Iterator[str]:
    ray.init(num_cpus=2)
    yield ray.get_runtime_context().get_node_id()
    ray.shutdown()


@ray.remote
def large() -> bytes:
    return b"x" * 200_000


@ray.remote
def lend(refs: list[ray.ObjectRef[bytes]]) -> list[tuple[list[str], int | None]]:
    found = get_object_locations(refs)
    return [(found[ref]["node_ids"], found[ref]["object_size"]) for ref in refs]


@ray.remote(num_cpus=0, max_concurrency=2)
class Gate:
    def __init__(self) -> None:
        self.opened = threading.Event()

    def open(self) -> None:
        self.opened.set()

    def passed(self) -> bool:
        return self.opened.wait(30)


def test_objects_are_on_the_one_node_once_they_are_made(session: str) -> None:
    put, returned, gate = ray.put(b"y" * 300_000), large.remote(), Gate.remote()
    pending = gate.passed.remote()
    ray.wait([returned], timeout=20)
    for ask in (get_object_locations, get_local_object_locations):
        found = ask([put, returned, pending])
        assert [found[ref]["node_ids"] for ref in (put, returned, pending)] == [[session], [session], []]
        assert found[put]["object_size"] >= 300_000 > found[returned]["object_size"] >= 200_000
        assert found[pending]["object_size"] is None
    (borrowed, unknown) = ray.get(lend.remote([put, pending]), timeout=20)
    assert borrowed[0] == [session]
    assert borrowed[1] is not None
    assert borrowed[1] >= 300_000
    assert unknown == ([], None)
    ray.get(gate.open.remote())
    assert ray.get(pending, timeout=20)


def test_other_things_than_references_are_refused(session: str) -> None:
    assert get_object_locations([]) == {}
    with pytest.raises(TypeError, match="ObjectRef"):
        get_object_locations([session])  # type: ignore[list-item]


def test_a_session_is_needed() -> None:
    with pytest.raises(RuntimeError, match="Ray hasn't been initialized"):
        get_object_locations([])
