"""The limit of a worker's memory: when it is in force, what it refuses, and the watch that stands for the kernel."""

from __future__ import annotations

import errno
import resource
import sys
from collections.abc import Callable, Iterator
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

import pytest
from members import Session, Worker, tied

from nbactors.exceptions import OutOfMemoryError
from nbactors.local.reactor.blame import Blame
from nbactors.local.worker.memory import usage
from nbactors.local.worker.memory.limit import RESERVE, MemoryLimit, is_lack, trim
from nbactors.local.worker.memory.watch import PATIENCE_S, MemoryWatch
from nbactors.options import TaskOptions

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux applies RLIMIT_DATA to mappings")

MANY = 1 << 40
MIB = 1 << 20


def soft() -> int:
    return resource.getrlimit(resource.RLIMIT_DATA)[0]


@pytest.fixture(autouse=True)
def _limit_given_back() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield
    after = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, before)
    assert after == before


def limit_above_use(more: int, is_watched: bool = False) -> MemoryLimit:
    """Return a limit that leaves so many bytes. The test process uses much memory of its own."""
    trim()  # the limit gives freed memory back when it begins, and that of earlier tests would count as room
    return MemoryLimit(usage.now().own + more, is_watched=is_watched)


class TestTheLimit:
    def test_it_is_in_force_while_a_call_runs(self) -> None:
        before, limit = soft(), limit_above_use(64 * MIB)
        with limit:
            assert soft() < usage.now().mapped + 80 * MIB
            with pytest.raises(MemoryError, match=r"^$"):
                bytearray(128 * MIB)
            bytearray(16 * MIB)
        assert soft() == before

    def test_it_ends_with_the_last_of_several_calls(self) -> None:
        before, limit = soft(), MemoryLimit(MANY, is_watched=False)
        with limit:
            with limit:
                pass
            assert soft() != before
        assert soft() == before

    def test_a_watch_takes_over_from_the_kernel_while_a_call_waits_for_its_lease(self) -> None:
        before, limit, told = soft(), limit_above_use(64 * MIB), []
        limit.on_call = lambda: told.append(limit.calls)
        with limit:
            limit.watch(True)
            assert soft() == before
            assert told == [1]
            assert len(bytearray(128 * MIB)) == 128 * MIB
            limit.watch(False)
            with pytest.raises(MemoryError, match=r"^$"):
                bytearray(128 * MIB)
        limit.watch(True)
        assert told == [1]

    def test_it_counts_what_earlier_calls_have_left(self) -> None:
        limit = limit_above_use(64 * MIB)
        with limit:
            left = bytearray(48 * MIB)
            for place in range(0, len(left), 4096):
                left[place] = 1
        with limit, pytest.raises(MemoryError, match=r"^$"):
            bytearray(48 * MIB)
        del left
        with limit:
            bytearray(48 * MIB)

    def test_mapped_memory_that_was_never_used_does_not_count_for_later_calls(self) -> None:
        limit = limit_above_use(64 * MIB)
        with mmap(-1, 256 * MIB, flags=MAP_PRIVATE | MAP_ANONYMOUS), limit:
            assert len(bytearray(32 * MIB)) == 32 * MIB

    def test_the_runtime_raises_it_until_the_next_call_begins_or_ends(self) -> None:
        limit = MemoryLimit(MANY, is_watched=False)
        with limit:
            first = soft()
            assert limit.relieve()
            assert soft() == first + RESERVE
            with limit:
                assert soft() < first + RESERVE
            assert limit.relieve()
        with limit:
            assert soft() < first + RESERVE

    def test_there_is_nothing_to_raise_between_calls_or_under_a_watch(self) -> None:
        limit, watched = MemoryLimit(MANY, is_watched=False), MemoryLimit(MANY, is_watched=True)
        assert not limit.relieve()
        with watched:
            assert not watched.relieve()

    def test_a_watched_limit_leaves_the_kernels_alone(self) -> None:
        before = soft()
        with MemoryLimit(MIB, is_watched=True):
            assert soft() == before

    def test_the_kernels_limit_ends_with_the_call_although_a_watch_takes_over(self) -> None:
        before, limit = soft(), MemoryLimit(MANY, is_watched=False)
        with limit:
            limit.is_watched = True
        assert soft() == before

    @pytest.mark.parametrize(
        ("error", "answer"),
        [
            (MemoryError(), True),
            (OSError(errno.ENOMEM, "no memory"), True),
            (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
            (RuntimeError("std::bad_alloc"), True),
            (RuntimeError("another one"), False),
            (OSError(errno.ENOENT, "no file"), False),
        ],
    )
    def test_native_libraries_tell_a_lack_of_memory_in_their_own_ways(self, error: Exception, answer: bool) -> None:
        assert is_lack(error) is answer


class Grower:
    def __init__(self) -> None:
        self.left: list[bytes] = []

    def grow(self, size: int) -> int:
        self.left.append(bytes(size))
        return len(self.left)


def grow(size: int) -> int:
    return len(bytes(size))


class TestInAWorker:
    @pytest.fixture
    def pair(self, tmp_path: object) -> Iterator[tuple[Session, Worker]]:
        session, worker = Session(tmp_path), Worker(tmp_path)  # type: ignore[arg-type]
        with tied(session, worker):
            worker.executor.limit_memory(usage.now().own + 128 * MIB, is_watched=False)
            yield session, worker

    def test_a_method_beyond_the_limit_gets_an_error_with_its_name_the_limit_and_the_use(
        self, pair: tuple[Session, Worker]
    ) -> None:
        session, worker = pair
        actor = session.create(worker, Grower)

        def body() -> int:
            with pytest.raises(
                MemoryError, match=r"(?s)Grower.grow has reached its memory_limit of .* uses .*lives on"
            ):
                session.get(session.call(actor, "grow", 512 * MIB))
            return session.get(session.call(actor, "grow", 1))  # type: ignore[no-any-return]

        assert worker.serve(body) == 1

    def test_a_task_beyond_the_limit_gets_such_an_error_too(self, pair: tuple[Session, Worker]) -> None:
        session, worker = pair

        def body() -> None:
            ref = session.submit(grow, 512 * MIB, options=TaskOptions.parse({"memory_limit": "9GiB"}))
            assert worker.grant(session).memory_limit == 9 << 30
            with pytest.raises(MemoryError, match=r"grow has reached its memory_limit .*Give it a higher memory_limit"):
                session.get(ref)

        worker.serve(body)


class TestTheReactor:
    def test_a_callback_that_lacks_memory_runs_again_with_a_raised_limit(self) -> None:
        blame, runs, raised = Blame(lambda: False), [], []
        blame.relieve = lambda: not raised.append(1)  # type: ignore[func-returns-value]

        def callback() -> None:
            runs.append(1)

        blame(MemoryError(), callback, ())
        assert (len(runs), len(raised)) == (1, 1)

    def test_without_a_limit_the_error_goes_on_as_any_other(self) -> None:
        with pytest.raises(MemoryError, match=r"^$"):
            Blame(lambda: False)(MemoryError(), lambda: None, ())


class Played:
    """A watch over played memory, calls and time.

    Attributes:
        done: What the watch has done: "interrupt" or "end", and the text.
    """

    def __init__(self) -> None:
        self.now, self.used, self.runs = 0.0, 0, True
        self.done: list[tuple[str, str]] = []
        self.due: list[Callable[[], None]] = []
        self.watch = MemoryWatch(
            100 * MIB,
            lambda _, look: self.due.append(look),
            lambda: self.runs,
            lambda text: self.done.append(("interrupt", text)),
            lambda text: self.done.append(("end", text)),
            used=lambda: self.used,
            clock=lambda: self.now,
        )
        self.watch.start()

    def second(self, used: int) -> list[str]:
        """Let a second pass; return what was done by now."""
        self.now += 1
        self.used = used * MIB
        due, self.due = self.due, []
        for look in due:
            look()
        return [kind for kind, _ in self.done]


class TestTheWatch:
    def test_a_call_below_the_limit_is_left_alone(self) -> None:
        played = Played()
        assert played.second(99) == played.second(100) == []

    def test_a_call_beyond_the_limit_is_interrupted_once_and_told_the_last_points(self) -> None:
        played = Played()
        played.second(50)
        assert played.second(120) == played.second(150) == ["interrupt"]
        text = played.done[0][1]
        assert "memory_limit of 100.0 MiB" in text
        assert "50.0 MiB after 0 s, 120.0 MiB after 1 s" in text

    def test_a_process_whose_methods_go_on_is_ended(self) -> None:
        played = Played()
        for _ in range(int(PATIENCE_S)):
            assert played.second(120) == ["interrupt"]
        assert played.second(120) == ["interrupt", "end"]
        assert not played.due
        assert "its process" in played.done[1][1]

    def test_a_process_that_gives_memory_back_lives_on(self) -> None:
        played = Played()
        played.second(120)
        played.second(80)
        assert [played.second(120) for _ in range(3)][-1] == ["interrupt", "interrupt"]

    def test_it_looks_only_while_calls_run(self) -> None:
        played = Played()
        played.runs = False
        assert played.second(200) == []
        assert not played.due
        played.runs = True
        played.watch.start()
        played.watch.start()
        assert len(played.due) == 1

    def test_a_watched_call_that_grows_is_interrupted_and_its_error_tells_so(
        self, tmp_path: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session, worker = Session(tmp_path), Worker(tmp_path)  # type: ignore[arg-type]
        with tied(session, worker):
            worker.executor.limit_memory(MIB, is_watched=True)
            monkeypatch.setattr("nbactors.local.worker.memory.watch.LOOK_S", 0.01)
            actor = session.create(worker, Looping)

            def body() -> int:
                with pytest.raises(OutOfMemoryError, match=r"loop ran out of memory: the method was interrupted"):
                    session.get(session.call(actor, "loop"))
                return session.get(session.call(actor, "quick"))  # type: ignore[no-any-return]

            assert worker.serve(body) == 1


class Looping:
    def loop(self) -> None:
        while True:
            pass

    def quick(self) -> int:
        return 1
