"""Kinds of objects that are made anew by value, and the names that a worker gives to what arrives."""

from __future__ import annotations

import functools
import linecache
import pickle
import sys
import threading
import types
import typing
import weakref
from typing import Any

import cloudpickle
import msgspec
import pytest

from nbactors.definitions import classes, kinds, main_names
from nbactors.pickling import pickling


def again(value: Any) -> Any:
    """Return a value after its way to another process and back: its classes are the same, since they are tracked."""
    data, buffers, _ = pickling.dumps(value)
    return pickling.loads(data, buffers)


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A `__main__` of its own."""
    module = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    monkeypatch.setattr(main_names, "_stamps", {})
    return module


def run(module: types.ModuleType, source: str) -> None:
    exec(compile(source, "a cell", "exec"), vars(module))


def as_worker(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Continue as a worker, with an empty `__main__`."""
    module = types.ModuleType("__main__")
    module.boot = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", module)
    monkeypatch.setattr(main_names, "_received", None)
    main_names.begin()
    return module


def test_functions_of_functools() -> None:
    @functools.lru_cache(maxsize=7, typed=True)
    def cached(number: int) -> int:
        return number if number < 2 else cached(number - 1) + cached(number - 2)

    @functools.singledispatch
    def kind(value: Any) -> str:
        return "other"

    @kind.register
    def _(value: int) -> str:
        return "number"

    cached.mark = "own"  # type: ignore[attr-defined]
    other, other_kind = again([cached, kind])
    assert (other(10), other.cache_parameters(), other.mark) == (55, {"maxsize": 7, "typed": True}, "own")
    assert (other_kind(1), other_kind("a"), other_kind.__qualname__) == ("number", "other", kind.__qualname__)
    assert again(functools.lru_cache(len))("abc") == 3


def test_properties_and_methods_of_functools() -> None:
    class Lazy:
        @functools.cached_property
        def value(self) -> int:
            return 5

        @functools.singledispatchmethod
        def kind(self, value: Any) -> str:
            return "other"

        @kind.register
        def _(self, value: int) -> str:
            return "number"

    lazy = again(Lazy())
    assert (lazy.value, lazy.kind(1), lazy.kind("a")) == (5, "number", "other")
    reduced = kinds.lazy_property(vars(Lazy)["value"])
    assert reduced is None or "lock" not in reduced[2]
    assert kinds.lazy_property(5) is None


def test_types_come_back_as_themselves(main: types.ModuleType) -> None:
    run(
        main,
        "import typing\n"
        "UserId = typing.NewType('UserId', int)\n"
        "P = typing.ParamSpec('P', covariant=True)\n"
        "T = typing.TypeVar('T', bound=int)\n",
    )
    for value in (main.UserId, main.P, main.T, main.P.args, main.P.kwargs, typing.Callable[main.P, main.T]):
        assert again(value) == value


def test_types_are_made_anew(main: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    run(
        main,
        "import typing\nUserId = typing.NewType('UserId', int)\nP = typing.ParamSpec('P', covariant=True)\n",
    )
    data = pickling.dumps([main.UserId, main.P]).data
    monkeypatch.setattr(kinds, "_first", lambda _, made: made)
    user_id, parameters = pickle.loads(data)
    assert user_id is not main.UserId
    assert (user_id(3), user_id.__module__, user_id.__supertype__) == (3, "__main__", int)
    assert (parameters.__name__, parameters.__module__, parameters.__covariant__) == ("P", "__main__", True)


def test_what_has_no_weak_references_is_tracked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_kept", {})
    thing, made = (1, 2), (3, 4)
    tracker = kinds._tracker(thing)
    assert kinds._tracker(thing) == tracker
    assert kinds._first(tracker, made) is thing
    assert kinds._first("another", made) is made


def test_slots() -> None:
    class Slotted:
        __slots__ = ("__hidden", "shown")

        def __init__(self) -> None:
            self.__hidden, self.shown = 1, 2

        def both(self) -> tuple[int, int]:
            return self.__hidden, self.shown

    class Late:
        pass

    Late.__slots__ = ("x",)  # type: ignore[attr-defined]
    assert again(Slotted()).both() == (1, 2)
    assert classes.own_slots(Slotted) == ("__hidden", "shown")
    assert classes.own_slots(Late) is None
    assert classes.own_slots(int) is None


def test_a_struct_is_refused() -> None:
    class Struct(msgspec.Struct):
        x: int

    with pytest.raises(TypeError, match=r"Struct is a msgspec\.Struct, which cannot be pickled by value: define it"):
        pickling.dumps(Struct(1))


def test_a_known_class_is_not_made_again() -> None:
    made: list[str] = []

    class Base:
        def __init_subclass__(cls) -> None:
            made.append(cls.__name__)

    class Sub(Base):
        pass

    assert type(again(Sub())) is Sub
    assert made == ["Sub"]


def test_a_class_whose_statement_has_keywords_is_made_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    class Base:
        def __init_subclass__(cls, *, key: str) -> None:
            cls.key = key  # type: ignore[attr-defined]

    class Sub(Base, key="a"):
        pass

    data = pickling.dumps(Sub).data
    monkeypatch.setattr(cloudpickle.cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", weakref.WeakValueDictionary())
    found = pickling.loads(data)
    assert found is not Sub
    assert found.key == "a"  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="key"):
        type("Other", found.__mro__[1:2], {})


def test_only_a_name_is_refused(main: types.ModuleType) -> None:
    run(main, "class Missing:\n    def __reduce__(self):\n        return 'MISSING'\nMISSING = Missing()")
    with pytest.raises(TypeError, match=r"Missing reduces itself to the name 'MISSING' of __main__.* define it in a"):
        pickling.dumps([main.MISSING])


def test_names_in_a_worker(main: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    run(main, "class Point:\n    pass\ndef make():\n    return Point()")
    first = pickling.dumps_code(main.make).data
    assert main_names.stamp(main.make, "make") == main_names.stamp(main.make, "make") > 0
    run(main, "class Point:\n    pass\ndef make():\n    return Point()")
    second = pickling.dumps_code(main.make).data
    assert main_names.stamp(first, "make") == 0
    worker = as_worker(monkeypatch)
    assert not hasattr(worker, "boot")
    new = pickling.loads(second)
    old = pickling.loads(first)
    assert worker.make is new is not old, "the first definition is older"
    assert type(new()) is worker.Point is not type(old())
    assert main_names.stamp(new, "make") > 0 == main_names.stamp(old, "make")
    main_names.forget(new.__globals__)
    assert not hasattr(worker, "make")


def test_a_name_that_has_no_weak_references(main: types.ModuleType) -> None:
    main.size = 5  # type: ignore[attr-defined]
    assert main_names.stamp(main.size, "size") > 0


def test_own_names_of_a_worker_stay(main: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    run(main, "def f():\n    pass\ndef g():\n    pass")
    data = [pickling.dumps_code(function).data for function in (main.f, main.g)]
    worker = as_worker(monkeypatch)
    worker.f = "own"  # type: ignore[attr-defined]
    for one in (*data, *data):
        pickling.loads(one)
    assert worker.f == "own"
    worker.g = "own"
    pickling.loads(data[1])
    assert worker.g == "own"


def test_what_annotations_name(main: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    run(
        main,
        "import types\nfrom typing import Optional\nlimit = 5\n"
        "class Node:\n    next: 'Optional[types.ModuleType | limit]'\n    other: int\n"
        "def f(node: 'Optional[Node]'): ...",
    )
    assert main_names.referred({"a": "Optional[limit]", "b": int}, vars(main)) == {"Optional": typing.Optional}
    assert main_names.referred(None, {}) == {}
    main.__file__ = "a script"
    data = pickling.dumps_code(main.Node).data
    function = pickling.dumps_code(main.f).data
    worker = as_worker(monkeypatch)
    pickling.loads(data)
    assert (worker.Optional, worker.types, hasattr(worker, "limit")) == (typing.Optional, types, False)
    assert not hasattr(worker, "__file__"), "multiprocessing would run it"
    assert typing.get_type_hints(pickling.loads(function))["node"] == worker.Node | None


def test_annotations_do_not_keep_code_from_being_sent(main: types.ModuleType) -> None:
    main.lock = threading.Lock()  # type: ignore[attr-defined]
    run(main, "class Session:\n    def f(self):\n        return lock\ndef use(session: 'Session'):\n    return 5")
    assert pickling.loads(pickling.dumps_code(main.use).data)(None) == 5
    with pytest.raises(TypeError, match=r"global variable 'lock' used by function 'Session\.f'"):
        pickling.dumps_code(main.Session)


def test_sources_of_code_that_is_in_no_file(main: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "def f():\n    return 1\n"
    monkeypatch.setattr(linecache, "cache", {"a cell": (len(source), None, source.splitlines(True), "a cell")})
    run(main, source)
    data, value = pickling.dumps_code(main.f).data, pickling.dumps(main.f).data
    assert (source.encode() in data, source.encode() in value) == (True, False)
    linecache.cache.clear()
    pickling.loads(data)
    assert linecache.getline("a cell", 2) == "    return 1\n"
    linecache.cache["a cell"] = (len(source), 1.0, source.splitlines(True), "a cell")
    assert source.encode() not in pickling.dumps_code(main.f).data, "every process can read a file"
