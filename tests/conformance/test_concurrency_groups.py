"""Concurrency groups: methods with limits, loops and threads of their own."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from conformance.latch import Latch, thread_and_loop
from conformance.subjects import Gate, Journal


class Grouped(Latch):
    """An async actor with methods for several groups. It is decorated by the tests."""

    def __init__(self, journal: Journal | None = None) -> None:
        super().__init__()
        self.journal = journal
        self.made_at = thread_and_loop()

    def made(self) -> Any:
        return self.made_at

    async def where(self) -> Any:
        return thread_and_loop()

    def where_sync(self) -> Any:
        return thread_and_loop()

    async def block(self, gate: Gate) -> str:
        assert self.journal
        self.journal.note("blocked")
        gate.wait()
        return "passed"


class ThreadedGroups:
    """The same with threads."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal
        self.barrier = threading.Barrier(2)

    def where(self) -> Any:
        return thread_and_loop()

    def on_main_thread(self) -> bool:
        return threading.current_thread() is threading.main_thread()

    def meet(self) -> int:
        self.barrier.wait(20)
        return threading.get_ident()

    def block(self, gate: Gate) -> str:
        assert self.journal
        self.journal.note("blocked")
        gate.wait()
        return "passed"


GROUPS = {"io": 2, "compute": 4}


@pytest.fixture(params=[Grouped, ThreadedGroups], ids=["async", "threaded"])
def subject(request: pytest.FixtureRequest) -> Any:
    return request.param


class TestReference:
    """The examples of the reference page."""

    def test_each_method_runs_in_its_group(self, ray: Any) -> None:
        @ray.remote(concurrency_groups={"io": 2, "compute": 4})
        class AsyncIOActor:
            def __init__(self) -> None:
                pass

            @ray.method(concurrency_group="io")
            async def f1(self) -> Any:
                return thread_and_loop()

            @ray.method(concurrency_group="io")
            async def f2(self) -> Any:
                return thread_and_loop()

            @ray.method(concurrency_group="compute")
            async def f3(self) -> Any:
                return thread_and_loop()

            @ray.method(concurrency_group="compute")
            def f4(self) -> Any:
                return thread_and_loop()

            async def f5(self) -> Any:
                return thread_and_loop()

        a = AsyncIOActor.remote()
        f1, f2, f3, f4, f5 = ray.get([method.remote() for method in (a.f1, a.f2, a.f3, a.f4, a.f5)])
        assert f1 == f2
        assert f3 == f4
        assert len({f1, f3, f5}) == 3
        assert ray.get(a.f2.options().remote()) == f1
        assert ray.get(a.f2.options(concurrency_group="compute").remote()) == f3

    def test_max_concurrency_limits_the_default_group(self, ray: Any) -> None:
        @ray.remote(concurrency_groups={"io": 2})
        class AsyncIOActor(Latch):
            async def f1(self) -> str:
                return "ran"

        actor = AsyncIOActor.options(max_concurrency=10).remote()
        holds = [actor.hold.remote() for _ in range(9)]
        assert ray.get(actor.held.remote(9)) == 9
        assert ray.get(actor.f1.remote()) == "ran"
        ray.get(actor.open.remote())
        assert ray.get(holds) == ["passed"] * 9


class TestAsync:
    def test_each_group_has_its_own_loop(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups=GROUPS)(Grouped).remote()
        default, io, compute = (
            actor.where,
            actor.where.options(concurrency_group="io"),
            actor.where.options(concurrency_group="compute"),
        )
        places = ray.get([default.remote(), io.remote(), compute.remote()])
        assert len({thread for thread, _ in places}) == 3
        assert len({loop for _, loop in places} - {None}) == 3
        assert ray.get(actor.made.remote()) == places[0]
        assert ray.get(actor.where_sync.options(concurrency_group="io").remote()) == places[1]

    def test_a_groups_calls_run_at_once_up_to_its_limit(self, ray: Any, eventually: Any) -> None:
        actor = ray.remote(concurrency_groups={"io": 2})(Grouped).remote()
        holds = [actor.hold.options(concurrency_group="io").remote() for _ in range(3)]
        eventually(lambda: ray.get(actor.count.remote()) == 2)
        assert ray.wait(holds, timeout=0.1)[0] == []
        assert ray.get(actor.count.remote()) == 2
        ray.kill(actor)

    def test_an_inherited_method_keeps_its_group(self, ray: Any) -> None:
        class Base:
            @ray.method(concurrency_group="io")
            async def inherited(self) -> Any:
                return thread_and_loop()

        @ray.remote(concurrency_groups={"io": 1})
        class Derived(Base):
            @ray.method(concurrency_group="io")
            async def own(self) -> Any:
                return thread_and_loop()

        actor = Derived.remote()
        assert ray.get(actor.inherited.remote()) == ray.get(actor.own.remote())

    def test_a_method_can_call_a_method_of_another_group(self, ray: Any) -> None:
        @ray.remote(concurrency_groups={"io": 1})
        class Chained:
            async def outer(self) -> Any:
                me = ray.get_runtime_context().current_actor
                return thread_and_loop(), await me.inner.remote()

            @ray.method(concurrency_group="io")
            async def inner(self) -> Any:
                return thread_and_loop()

        outer, inner = ray.get(Chained.options(max_concurrency=1).remote().outer.remote())
        assert outer != inner


class TestThreaded:
    def test_no_call_runs_on_the_main_thread(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups={"io": 2})(ThreadedGroups).remote()
        io = actor.on_main_thread.options(concurrency_group="io")
        assert ray.get([actor.on_main_thread.remote(), io.remote()]) == [False, False]

    def test_the_default_group_has_one_thread(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups={"io": 2})(ThreadedGroups).remote()
        assert len(set(ray.get([actor.where.remote() for _ in range(20)]))) == 1

    def test_a_group_has_as_many_threads_as_its_limit(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups={"io": 2})(ThreadedGroups).remote()
        meet = actor.meet.options(concurrency_group="io")
        io = set(ray.get([meet.remote(), meet.remote()]))
        assert len(io) == 2
        where = actor.where.options(concurrency_group="io")
        threads = {int(thread.rpartition(":")[2]) for thread, _ in ray.get([where.remote() for _ in range(20)])}
        assert threads <= io

    def test_max_concurrency_applies_to_the_default_group_only(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups={"io": 1}, max_concurrency=2)(ThreadedGroups).remote()
        assert len(set(ray.get([actor.meet.remote(), actor.meet.remote()]))) == 2
        where = actor.where.options(concurrency_group="io")
        assert len(set(ray.get([where.remote() for _ in range(20)]))) == 1


class TestNoGroupBlocksAnother:
    def test_a_blocked_default_group_does_not_block_another(
        self, ray: Any, subject: Any, gate: Gate, journal: Journal, eventually: Any
    ) -> None:
        actor = ray.remote(concurrency_groups=GROUPS)(subject).remote(journal)
        blocked = actor.block.remote(gate)
        eventually(journal.lines)
        where = [actor.where.options(concurrency_group=group).remote() for group in GROUPS for _ in range(5)]
        assert len(ray.get(where)) == 10
        assert ray.wait([blocked], timeout=0) == ([], [blocked])
        gate.open()
        assert ray.get(blocked) == "passed"

    def test_a_full_group_does_not_block_another(
        self, ray: Any, subject: Any, gate: Gate, journal: Journal, eventually: Any
    ) -> None:
        actor = ray.remote(concurrency_groups={"io": 1, "compute": 1})(subject).remote(journal)
        block = actor.block.options(concurrency_group="io")
        blocked = [block.remote(gate) for _ in range(3)]
        eventually(journal.lines)
        others = [actor.where.remote(), actor.where.options(concurrency_group="compute").remote()]
        assert len(ray.get(others)) == 2
        assert journal.lines() == ["blocked"]
        gate.open()
        assert ray.get(blocked) == ["passed"] * 3

    def test_an_unready_argument_does_not_block_another_group(self, ray: Any, subject: Any, gate: Gate) -> None:
        actor = ray.remote(concurrency_groups={"io": 1})(subject).remote()
        slow = ray.remote(Gate.wait).remote(gate)
        waiting = actor.__ray_call__.remote(lambda self, value: value, slow)
        assert ray.get(actor.where.options(concurrency_group="io").remote())
        gate.open()
        assert ray.get(waiting) is None


class TestAtTheCall:
    @pytest.mark.parametrize("group", [None, ""])
    def test_group_none_means_the_declared_group(self, ray: Any, group: Any) -> None:
        @ray.remote(concurrency_groups={"io": 1})
        class Declared:
            @ray.method(concurrency_group="io")
            async def where(self) -> Any:
                return thread_and_loop()

            async def default(self) -> Any:
                return thread_and_loop()

        actor = Declared.remote()
        where = ray.get(actor.where.options(concurrency_group=group).remote())
        assert where == ray.get(actor.where.remote())
        assert where != ray.get(actor.default.remote())

    def test_a_passed_handle_knows_the_groups(self, ray: Any) -> None:
        @ray.remote
        def call(actor: Any) -> Any:
            return ray.get([actor.where.options(concurrency_group="io").remote(), actor.where.remote()])

        actor = ray.remote(concurrency_groups={"io": 1})(Grouped).remote()
        io, default = ray.get(call.remote(actor))
        assert io != default
        assert io == ray.get(actor.where.options(concurrency_group="io").remote())

    def test_a_handle_found_by_name_knows_the_groups(self, ray: Any, name: str) -> None:
        @ray.remote(concurrency_groups={"io": 1})
        class Named:
            @ray.method(concurrency_group="io")
            async def where(self) -> Any:
                return thread_and_loop()

        actor = Named.options(name=name).remote()
        assert ray.get(ray.get_actor(name).where.remote()) == ray.get(actor.where.remote())

    def test_a_group_can_be_combined_with_other_options(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups={"io": 1})(Grouped).remote()
        thread, loop = actor.where.options(concurrency_group="io", num_returns=2).remote()
        assert (ray.get(thread), ray.get(loop)) == ray.get(actor.where.options(concurrency_group="io").remote())


class TestUnknown:
    @pytest.mark.differs("on Ray the call crashes the worker")
    @pytest.mark.parametrize("groups", [{"io": 2, "compute": 4}, {}])
    def test_an_unknown_group_of_a_call_is_refused(self, ray: Any, subject: Any, groups: dict[str, int]) -> None:
        actor = ray.remote(concurrency_groups=groups)(subject).remote()
        with pytest.raises(ValueError, match=r"nope[\s\S]*" + r"[\s\S]*".join(groups)):
            actor.where.options(concurrency_group="nope").remote()
        assert ray.get(actor.where.remote())

    @pytest.mark.differs("on Ray making the actor raises an AssertionError without a text")
    def test_an_unknown_group_of_a_method_is_refused(self, ray: Any) -> None:
        class Mistaken:
            @ray.method(concurrency_group="nope")
            async def call(self) -> None:
                pass

        with pytest.raises(ValueError, match=r"nope[\s\S]*io"):
            ray.remote(concurrency_groups={"io": 1})(Mistaken)

    @pytest.mark.differs("on Ray making the actor raises an AssertionError without a text")
    def test_a_methods_group_is_refused_in_a_class_without_groups(self, ray: Any) -> None:
        class Mistaken:
            @ray.method(concurrency_group="nope")
            def call(self) -> None:
                pass

        with pytest.raises(ValueError, match="nope"):
            ray.remote(Mistaken)

    def test_a_group_that_is_not_a_string_is_refused(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups={"io": 1})(Grouped).remote()
        with pytest.raises(TypeError, match=r"expected (bytes|str)|must be"):
            actor.where.options(concurrency_group=3).remote()


class TestDeclaring:
    def test_groups_are_refused_in_options(self, ray: Any) -> None:
        with pytest.raises(ValueError, match=r"Setting 'concurrency_groups' is not supported in '\.options\(\)'"):
            ray.remote(Grouped).options(concurrency_groups={"io": 1}).remote()

    def test_an_empty_dict_declares_no_groups(self, ray: Any) -> None:
        actor = ray.remote(concurrency_groups={})(ThreadedGroups).remote()
        assert ray.get(actor.on_main_thread.remote()) is True

    @pytest.mark.differs("Ray says it late: as an OverflowError or TypeError of its own inside, or by a crash")
    @pytest.mark.parametrize("groups", [{"io": 0}, {"io": -1}, {"io": "2"}, {"io": 1.5}, {3: 1}, ["io"], {"": 1}])
    def test_wrong_declarations_of_groups_are_refused(self, ray: Any, groups: Any) -> None:
        with pytest.raises((TypeError, ValueError), match=r"concurrency_groups|concurrency group"):
            ray.remote(concurrency_groups=groups)(Grouped)
