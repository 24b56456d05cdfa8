"""Small values, which the compiled part pickles and unpickles as `pickle` does."""

from __future__ import annotations

import math
import pickle
import random
import struct
from typing import Any

import pytest
from members import Session

from nbactors import speedups
from nbactors.exceptions import RaySystemError
from nbactors.local.objects.entry import Entry
from nbactors.local.objects.held import Held
from nbactors.local.objects.object_life import READY

pytestmark = pytest.mark.skipif(speedups.compiled is None, reason=f"no compiled part: {speedups.why_not}")

compiled: Any = speedups.compiled

ATOMS = [
    *(None, True, False, 0.0, -0.0, 1.5, math.inf, -math.inf, 5e-324, b"", b"ok", "", "ok", "\0", b"\0"),
    *(0, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31)),
    *(b"x" * 255, "x" * 255),
]
OTHERS = [2**31, -(2**31) - 1, 2**64, b"x" * 256, "x" * 256, "é", "\ud800", [], (), {}, 1j, bytearray(b"x"), object]


class Text(str):
    """A subclass, which is pickled as such."""


class Number(int):
    """The same."""


def at_random(numbers: random.Random) -> Any:
    """Return an atom."""
    length = numbers.randrange(256)
    return numbers.choice(
        [
            numbers.randrange(-(2**31), 2**31),
            numbers.randrange(2**16),
            struct.unpack("d", numbers.randbytes(8))[0],
            numbers.randbytes(length),
            "".join(chr(numbers.randrange(128)) for _ in range(length)),
        ]
    )


def entry_with(session: Session, data: Any, **held: Any) -> Entry:
    return Entry.made(session.objects, 1, Held(data, **held))


def is_same(value: Any, other: Any) -> bool:
    """Return whether two values are equal and of one type; a NaN equals the NaN of the same bits."""
    if isinstance(value, float) and isinstance(other, float):
        return struct.pack("d", value) == struct.pack("d", other)
    return type(value) is type(other) and bool(value == other)


class TestDumping:
    @pytest.mark.parametrize("value", ATOMS, ids=repr)
    def test_an_atom_has_the_bytes_of_pickle(self, value: Any) -> None:
        assert compiled.dump_atom(value) == pickle.dumps(value, 5)

    @pytest.mark.parametrize("value", [*OTHERS, Text("x"), Number(1)], ids=repr)
    def test_all_else_is_left_to_pickle(self, value: Any) -> None:
        assert compiled.dump_atom(value) is None

    def test_so_have_atoms_at_random(self) -> None:
        numbers = random.Random(7)
        for value in (at_random(numbers) for _ in range(5000)):
            assert compiled.dump_atom(value) == pickle.dumps(value, 5)


class TestLoading:
    @pytest.mark.parametrize("protocol", [4, 5])
    @pytest.mark.parametrize("value", [*ATOMS, "é", "\ud800", "日本"], ids=ascii)
    def test_an_atom_comes_back(self, session: Session, value: Any, protocol: int) -> None:
        entry = entry_with(session, pickle.dumps(value, protocol))
        assert is_same(compiled.load_atom(entry), value)
        assert is_same(session.objects.values.load(entry), value)

    def test_so_do_atoms_at_random(self, session: Session) -> None:
        numbers = random.Random(7)
        values = [at_random(numbers) for _ in range(5000)]
        loaded = compiled.load_atoms([entry_with(session, pickle.dumps(value, 5)) for value in values])
        assert all(map(is_same, loaded, values))
        assert len(loaded) == len(values)

    @pytest.mark.parametrize("value", [2**31, 2**64, b"x" * 256, "x" * 256, [], (), {}, 1j, Text("x")], ids=repr)
    def test_all_else_is_left_to_pickle(self, session: Session, value: Any) -> None:
        entry = entry_with(session, pickle.dumps(value, 5))
        assert compiled.load_atom(entry) is NotImplemented
        assert is_same(session.objects.values.load(entry), value)

    @pytest.mark.parametrize("protocol", [0, 1, 2, 3])
    def test_so_are_older_protocols(self, session: Session, protocol: int) -> None:
        assert compiled.load_atom(entry_with(session, pickle.dumps("ok", protocol))) is NotImplemented

    def test_what_is_cut_or_changed_at_random_is_unpickled_as_pickle_does_it_or_left_to_pickle(
        self, session: Session
    ) -> None:
        numbers = random.Random(7)
        loaded = 0
        for _ in range(20000):
            data = bytearray(pickle.dumps(at_random(numbers), 5))
            for _ in range(numbers.randrange(3)):
                data[numbers.randrange(len(data))] = numbers.randrange(256)
            del data[numbers.choice([len(data), numbers.randrange(len(data) + 1)]) :]
            value = compiled.load_atom(entry_with(session, bytes(data)))
            if value is not NotImplemented:
                loaded += 1
                assert is_same(value, pickle.loads(bytes(data)))
        assert loaded > 1000

    def test_a_broken_one_gets_the_error_of_pickle(self, session: Session) -> None:
        entry = entry_with(session, b"\x80\x05\x8c\x01\xff\x94.")
        assert compiled.load_atom(entry) is NotImplemented
        with pytest.raises(RaySystemError, match="could not be unpickled"):
            session.objects.values.load(entry)

    def test_an_entry_that_is_pending_failed_or_has_more_than_bytes_is_no_atom(self, session: Session) -> None:
        data = pickle.dumps(1, 5)
        others = [
            Entry(session.objects, 1),
            entry_with(session, data, error=True),
            entry_with(session, data, buffers=(b"buffer",)),
            entry_with(session, memoryview(data)),
        ]
        assert [compiled.load_atom(entry) for entry in others] == [NotImplemented] * len(others)
        assert compiled.load_atom(object()) is NotImplemented

    def test_one_that_lacks_an_attribute_is_no_atom(self, session: Session) -> None:
        for name in ("data", "state", "parts"):
            entry = entry_with(session, pickle.dumps(1, 5))
            assert entry.state == READY
            delattr(entry, name)
            assert compiled.load_atom(entry) is NotImplemented

    def test_several_are_loaded_up_to_the_first_that_is_no_atom(self, session: Session) -> None:
        entries = [entry_with(session, pickle.dumps(value, 5)) for value in (1, "two", [3], 4)]
        assert compiled.load_atoms(entries) == [1, "two"]
        assert compiled.load_atoms([]) == []
        refs = [session.put(value) for value in (1, "two", [3], 4)]
        assert session.objects.waiting.get(refs, 1) == [1, "two", [3], 4]

    def test_it_takes_a_list(self) -> None:
        with pytest.raises(TypeError, match="takes a list"):
            compiled.load_atoms(())
