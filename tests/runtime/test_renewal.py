"""Updating the class of a living actor."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import nbactors
from nbactors.testing.polling import eventually


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    nbactors.init(num_cpus=2, namespace="renewal")
    yield
    nbactors.shutdown()


def first() -> type:
    class Counter:
        def __init__(self) -> None:
            self.value = 10

        def add(self) -> int:
            self.value += 1
            return self.value

        def gone(self) -> str:
            return "still here"

    return Counter


def second() -> type:
    class Counter:
        def add(self) -> int:
            self.value += 100  # type: ignore[has-type]
            return self.value

        def double(self) -> int:
            return 2 * self.value

    return Counter


def make(cls: type, **options: Any) -> Any:
    return (nbactors.remote(**options)(cls) if options else nbactors.remote(cls)).remote()


def test_the_methods_change_and_the_state_stays() -> None:
    actor = make(first())
    before = actor.add.remote()
    nbactors.update(actor, second())
    assert nbactors.get([before, actor.add.remote(), actor.double.remote()]) == [11, 111, 222]
    with pytest.raises(AttributeError, match="'gone'"):
        actor.gone  # noqa: B018


def test_calls_before_the_update_run_the_old_code() -> None:
    actor = make(first())
    early = [actor.add.remote() for _ in range(100)]
    nbactors.update(actor, second())
    assert nbactors.get(early) == list(range(11, 111))
    assert nbactors.get(actor.add.remote()) == 210


def test_update_takes_an_actor_class_as_well() -> None:
    actor = make(first())
    nbactors.update(actor, nbactors.remote(second()))
    assert nbactors.get(actor.double.remote()) == 20


def test_the_update_hook_changes_attributes() -> None:
    class Counter:
        def __nbactors_update__(self, old_class: type) -> None:
            self.total, self.was = self.value, hasattr(old_class, "gone")
            del self.value

        def show(self) -> Any:
            return self.total, self.was, hasattr(self, "value")

    actor = make(first())
    nbactors.update(actor, Counter)
    assert nbactors.get(actor.show.remote()) == (10, True, False)


def test_a_hook_that_raises_changes_nothing() -> None:
    class Counter:
        def __nbactors_update__(self, old_class: type) -> None:
            self.value = "spoilt"
            raise LookupError("cannot migrate")

        def add(self) -> int:
            return -1

    actor = make(first())
    with pytest.raises(LookupError, match="cannot migrate"):
        nbactors.update(actor, Counter)
    assert nbactors.get([actor.add.remote(), actor.gone.remote()]) == [11, "still here"]


def test_handles_elsewhere_call_the_new_methods() -> None:
    actor = make(first(), name="renewed")
    other = nbactors.get_actor("renewed")
    nbactors.update(actor, second())
    assert nbactors.get(other.double.remote()) == 20
    assert nbactors.get(nbactors.get_actor("renewed").double.remote()) == 20

    @nbactors.remote
    def use(handles: list[Any]) -> int:
        found = nbactors.get([handles[0].double.remote(), nbactors.get_actor("renewed").double.remote()])
        return sum(found)

    assert nbactors.get(use.remote([other])) == 40


class TestRefused:
    def test_a_class_of_another_name_is_refused(self) -> None:
        class Other:
            pass

        with pytest.raises(ValueError, match="to Other: that is another class"):
            nbactors.update(make(first()), Other)

    def test_a_change_from_synchronous_to_asyncio_is_refused(self) -> None:
        class Counter:
            async def add(self) -> int:
                return 1

        actor = make(first())
        with pytest.raises(ValueError, match="was a synchronous actor and would become an asyncio one"):
            nbactors.update(actor, Counter)
        assert nbactors.get(actor.add.remote()) == 11

    def test_a_concurrency_group_that_the_actor_lacks_is_refused(self) -> None:
        class Counter:
            @nbactors.method(concurrency_group="io")
            def add(self) -> int:
                return 1

        with pytest.raises(ValueError, match="io"):
            nbactors.update(make(first()), Counter)

    def test_a_class_of_another_layout_is_refused(self) -> None:
        class Counter(dict):  # type: ignore[type-arg]
            def add(self) -> int:
                return 1

        actor = make(first())
        with pytest.raises(TypeError, match="cannot become the new class"):
            nbactors.update(actor, Counter)
        assert nbactors.get(actor.add.remote()) == 11

    def test_a_value_that_is_no_class_is_refused(self) -> None:
        with pytest.raises(TypeError, match="takes the new class, or an actor class"):
            nbactors.update(make(first()), 3)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="takes a handle"):
            nbactors.update(3, first())  # type: ignore[arg-type]

    def test_a_hook_of_another_signature_is_refused(self) -> None:
        class Counter:
            def __nbactors_update__(self) -> None: ...

        with pytest.raises(ValueError, match=r"__nbactors_update__\(self, old_class\)"):
            nbactors.remote(Counter)


class Gated:
    def __init__(self) -> None:
        self.go = threading.Event()
        self.holding = 0

    def held(self) -> int:
        return self.holding

    def hold(self) -> str:
        self.holding += 1
        self.go.wait(30)
        return "old"

    def open(self) -> None:
        self.go.set()

    def which(self) -> str:
        return "old"


def new_gated() -> type:
    def which(self: Any) -> str:
        return "new"

    return type("Gated", (), {"which": which, "open": Gated.open, "hold": lambda self: "new"})


class TestThreaded:
    def test_running_calls_end_before_the_update(self) -> None:
        actor = make(Gated, max_concurrency=4)
        held = [actor.hold.remote() for _ in range(2)]
        eventually(lambda: nbactors.get(actor.held.remote()) == 2)
        with pytest.raises(TimeoutError, match=r"a call was still running in Gated after 0\.1 s"):
            nbactors.update(actor, new_gated(), timeout=0.1)
        opening = actor.open.remote()
        assert nbactors.get([opening, *held, actor.which.remote()]) == [None, "old", "old", "old"]
        nbactors.update(actor, new_gated())
        assert nbactors.get([actor.which.remote() for _ in range(50)]) == ["new"] * 50

    def test_under_load_no_call_is_lost(self) -> None:
        actor = make(Gated, max_concurrency=4)
        for round_ in range(10):
            refs = [actor.which.remote() for _ in range(200)]
            nbactors.update(actor, new_gated() if round_ % 2 else Gated)
            refs += [actor.which.remote() for _ in range(200)]
            found = nbactors.get(refs, timeout=30)
            assert set(found[200:]) == {"new" if round_ % 2 else "old"}


class AsyncGated:
    def __init__(self) -> None:
        self.running = 0

    async def hold(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "old"

    async def which(self) -> str:
        return "old"


def new_async() -> type:
    async def which(self: Any) -> str:
        return f"new {self.migrated}"

    async def migrate(self: Any, old_class: type) -> None:
        await asyncio.sleep(0)
        self.migrated = old_class.__name__

    return type("AsyncGated", (), {"which": which, "__nbactors_update__": migrate})


class TestAsyncio:
    def test_running_calls_end_before_the_update(self) -> None:
        actor = make(AsyncGated)
        held = [actor.hold.remote(0.3) for _ in range(5)]
        nbactors.get(actor.which.remote())
        nbactors.update(actor, new_async())
        assert nbactors.wait(held, num_returns=5, timeout=0)[0] == held
        assert nbactors.get([*held, actor.which.remote()]) == ["old"] * 5 + ["new AsyncGated"]

    def test_an_update_that_waits_too_long_fails_and_changes_nothing(self) -> None:
        actor = make(AsyncGated)
        held = actor.hold.remote(0.5)
        nbactors.get(actor.which.remote())
        with pytest.raises(TimeoutError, match="still running"):
            nbactors.update(actor, new_async(), timeout=0.1)
        assert nbactors.get([held, actor.which.remote()]) == ["old", "old"]

    def test_running_calls_of_every_group_end_before_the_update(self) -> None:
        class Grouped(AsyncGated):
            @nbactors.method(concurrency_group="io")
            async def io(self) -> str:
                await asyncio.sleep(0.2)
                return "old"

        old = Grouped
        actor = make(old, concurrency_groups={"io": 2})
        held = [actor.io.remote() for _ in range(4)]
        nbactors.get(actor.which.remote())

        @nbactors.method(concurrency_group="io")
        async def io(self: Any) -> str:
            return "new"

        nbactors.update(actor, type("Grouped", (), {"io": io}))
        # Those that had begun end on the old code; the others run as soon as it is done.
        assert nbactors.get([*held, actor.io.remote()]) in (
            [*["old"] * 2, *["new"] * 3],
            [*["old"] * 4, "new"],
        )
