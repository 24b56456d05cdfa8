"""When an interrupt strikes, when it waits, and when it is given up: the decisions, without a clock or a call."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from serving import Scene, stage

from nbactors.local.reactor.thread_waits import ThreadWaits
from nbactors.local.reactor.waiter import Waiter
from nbactors.local.wire import messages
from nbactors.local.wire.cancel_mode import CancelMode
from nbactors.local.worker.running import interrupts
from nbactors.local.worker.running.interrupts import Interrupts, Window, invoke
from nbactors.testing import eventually


class Connection:
    class Jobs:
        def __init__(self) -> None:
            self.running: dict[int, Any] = {}

    def __init__(self) -> None:
        self.jobs = self.Jobs()


class Job:
    """A call that runs and was cancelled."""

    def __init__(self, mode: CancelMode = CancelMode.INTERRUPT, *, is_task: bool = False, thread: int = 0) -> None:
        self.connection = Connection()
        self.message = messages.Call(1, "method", b"")
        self.connection.jobs.running[1] = self
        self.cancel = messages.Cancel(1, mode, True)
        self.is_task = is_task
        self.interrupts = 0
        self.answered = False
        self.thread = thread


class Clock:
    """The reactor and the time: what is to be called later is called when the time has come."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.due.append((self.now + seconds, callback))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, step by step."""
        end = self.now + seconds
        while self.due and min(at for at, _ in self.due) <= end:
            at, callback = min(self.due, key=lambda entry: entry[0])
            self.due.remove((at, callback))
            self.now = at
            callback()
        self.now = end


class Answers:
    def __init__(self) -> None:
        self.refused: list[str] = []

    def refuse(self, job: Any, cancel: Any, phase: str, detail: str = "") -> None:
        self.refused.append(f"{phase}: {detail}")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(interrupts, "monotonic", lambda: made.now)
    return made


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def striking(clock: Clock, answers: Answers) -> Any:
    """Interrupts whose strikes are counted; `hits` says whether they hit."""
    made: Any = Interrupts(clock, answers, lambda: None)  # type: ignore[arg-type]
    made.strikes = 0
    made.hits = True

    def strike(job: Job) -> None:
        made.strikes += 1
        if made.hits:
            job.interrupts += 1

    made._strike = strike
    return made


class TestPursuit:
    def test_one_strike_is_enough_for_a_call_that_ends(self, striking: Any, clock: Clock) -> None:
        job = Job()
        striking.pursue(job)
        assert striking.strikes == 1
        del job.connection.jobs.running[1]
        clock.pass_time(60)
        assert striking.strikes == 1
        assert striking._pursuits == {}

    def test_a_second_pursuit_of_the_same_call_adds_nothing(self, striking: Any) -> None:
        job = Job()
        striking.pursue(job)
        striking.pursue(job)
        assert striking.strikes == 1

    def test_a_strike_that_does_not_hit_is_repeated(self, striking: Any, clock: Clock) -> None:
        striking.hits = False
        striking.pursue(Job())
        clock.pass_time(1)
        assert striking.strikes == pytest.approx(1 / interrupts.RETRY_S, rel=0.1)

    def test_a_call_that_never_comes_back_to_python_code_is_given_up(
        self, striking: Any, clock: Clock, answers: Answers
    ) -> None:
        striking.hits = False
        job = Job()
        striking.pursue(job)
        clock.pass_time(interrupts.GIVE_UP_S - 0.1)
        assert answers.refused == []
        clock.pass_time(1)
        (text,) = answers.refused
        assert "It has not come back to Python code since" in text
        assert job.answered
        assert striking._pursuits == {}

    def test_a_task_that_was_asked_to_end_is_never_given_up(
        self, striking: Any, clock: Clock, answers: Answers
    ) -> None:
        striking.hits = False
        striking.pursue(Job(CancelMode.CANCEL, is_task=True))
        clock.pass_time(60)
        assert answers.refused == []
        assert striking._pursuits

    def test_a_task_that_was_asked_to_end_is_struck_once(self, striking: Any, clock: Clock) -> None:
        striking.pursue(Job(CancelMode.CANCEL, is_task=True))
        clock.pass_time(60)
        assert striking.strikes == 1
        assert striking._pursuits == {}

    @pytest.mark.parametrize(
        ("is_task", "thread", "text"),
        [
            (False, 0, r"still runs\. kill(handle)"),
            (True, 0, r"still runs\. cancel(ref, force=True)"),
            (False, 1, "blocks in a system call"),
        ],
    )
    def test_a_call_that_ignores_two_interrupts_is_given_up(
        self, striking: Any, clock: Clock, answers: Answers, is_task: bool, thread: int, text: str
    ) -> None:
        striking.pursue(Job(is_task=is_task, thread=thread))
        clock.pass_time(interrupts.PATIENCE_S * 1.5)
        assert striking.strikes == 2
        assert answers.refused == []
        clock.pass_time(interrupts.PATIENCE_S * 1.5)
        assert striking.strikes == 2
        assert text.replace("\\", "") in answers.refused[0]


class TestSignal:
    """Of the main thread, which a signal interrupts."""

    @pytest.fixture
    def installed(self, clock: Clock, answers: Answers) -> Iterator[Any]:
        made: Any = Interrupts(clock, answers, lambda: made.running)  # type: ignore[arg-type]
        made.running = None
        made.install()
        yield made
        made.remove()

    @pytest.fixture(autouse=True)
    def _no_delay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(interrupts, "sleep", lambda seconds: None)

    def test_without_a_call_it_raises_nothing(self, installed: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        assert installed._pursuits == {}

    def test_a_call_that_nobody_cancels_is_not_interrupted(self, installed: Any) -> None:
        job = installed.running = Job()
        invoke(signal.raise_signal, (signal.SIGINT,), {})
        assert job.interrupts == 0

    def test_the_call_that_is_pursued_is_interrupted(self, installed: Any) -> None:
        job = installed.running = Job()
        with pytest.raises(KeyboardInterrupt, match="this call was cancelled"):
            invoke(self.be_pursued, (installed, job), {})
        assert job.interrupts == 1

    def be_pursued(self, installed: Any, job: Job) -> None:
        installed._pursuits[job] = interrupts.Pursuit(job)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)

    def test_another_call_is_not(self, installed: Any) -> None:
        running, pursued = Job(), Job()
        installed.running = running
        invoke(self.be_pursued, (installed, pursued), {})
        assert (running.interrupts, pursued.interrupts) == (0, 0)

    def test_the_runtimes_own_code_is_not_interrupted(self, installed: Any) -> None:
        job = installed.running = Job()
        self.be_pursued(installed, job)
        assert job.interrupts == 0

    def test_a_call_that_was_struck_as_often_as_wanted_is_left_alone(self, installed: Any) -> None:
        job = installed.running = Job()
        pursuit = installed._pursuits[job] = interrupts.Pursuit(job)  # type: ignore[arg-type]
        job.interrupts = pursuit.wanted
        invoke(signal.raise_signal, (signal.SIGINT,), {})
        assert job.interrupts == 1

    def test_a_signal_during_a_wait_is_raised_after_it(self, installed: Any) -> None:
        waiter = installed.sleeper = Waiter()
        job = installed.running = Job()
        invoke(self.be_pursued, (installed, job), {})
        assert waiter.interrupted
        assert (installed.due, job.interrupts) == (True, 0)
        installed.sleeper = None
        with pytest.raises(KeyboardInterrupt, match="this call was cancelled"):
            invoke(self.end_wait, (installed,), {})
        assert (installed.due, job.interrupts) == (False, 1)

    def test_it_is_raised_in_a_handler_that_waits_in_the_midst_of_another_wait(self, installed: Any) -> None:
        """Else the inner wait would be told to end, again and again, and never would."""
        installed.sleeper = Waiter()
        job = installed.running = Job()
        invoke(self.be_pursued, (installed, job), {})
        with pytest.raises(KeyboardInterrupt, match="this call was cancelled"):
            invoke(self.end_wait, (installed,), {})
        assert (installed.due, job.interrupts) == (False, 1)

    def end_wait(self, installed: Any) -> None:
        installed.raise_due()

    def test_a_signal_in_the_midst_of_the_handler_is_ignored(self, installed: Any) -> None:
        installed._in_handler = True
        job = installed.running = Job()
        invoke(self.be_pursued, (installed, job), {})
        assert job.interrupts == 0

    def test_a_handler_that_the_user_has_set_since_stays(self, installed: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        installed.remove()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def test_the_main_thread_is_struck_by_a_signal(self, installed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        sent: list[Any] = []
        monkeypatch.setattr(signal, "pthread_kill", lambda ident, number: sent.append((ident, number)))
        installed._strike(Job())
        installed._strike(Job(thread=12345))  # of a thread without a window: it has ended
        assert sent == [(threading.main_thread().ident, signal.SIGINT)]


class TestWindow:
    """Of a pool thread: an exception that is raised there while its call's code runs."""

    def run(self, code: Callable[[Window, Job], None], strike: Callable[[Window, Job], None]) -> list[Any]:
        """Run `code` on a thread, and `strike` when that has reached "strike"."""
        outcome: list[Any] = []

        def serve() -> None:
            window, job = Window(threading.get_ident(), ThreadWaits()), Job()
            outcome.extend([window, job])
            try:
                code(window, job)
                outcome.append("returned")
            except KeyboardInterrupt:
                outcome.append("interrupted")

        thread = threading.Thread(target=serve)
        thread.start()
        stage.await_("strike")
        strike(outcome[0], outcome[1])
        stage.reach("struck")
        thread.join()
        return outcome

    def test_the_code_of_the_call_is_struck(self) -> None:
        def code(window: Window, job: Job) -> None:
            window.open(job)  # type: ignore[arg-type]
            invoke(spin_from, ("strike",), {})

        _, job, how = self.run(code, hit)
        assert (how, job.interrupts) == ("interrupted", 1)

    def test_another_call_is_not(self) -> None:
        def code(window: Window, job: Job) -> None:
            window.open(job)  # type: ignore[arg-type]
            invoke(reach_and_wait, ("strike", "struck"), {})

        _, _, how = self.run(code, lambda window, job: window.strike(Job()))  # type: ignore[arg-type]
        assert how == "returned"

    def test_the_runtimes_own_code_is_not(self) -> None:
        def code(window: Window, job: Job) -> None:
            window.open(job)  # type: ignore[arg-type]
            reach_and_wait("strike", "struck")

        _, job, how = self.run(code, lambda window, job: window.strike(job))  # type: ignore[arg-type]
        assert (how, job.interrupts) == ("returned", 0)

    def test_what_was_not_raised_before_the_code_ended_never_is(self) -> None:
        window, job = Window(threading.get_ident(), ThreadWaits()), Job()
        window.open(job)  # type: ignore[arg-type]
        window._struck = True  # as by a strike that the thread has not looked for
        window.shut()
        assert not window._struck
        # Later strikes are another call's.
        invoke(window.strike, (job,), {})
        assert job.interrupts == 0

    def test_a_process_that_is_traced_goes_on_after_an_interrupt(self) -> None:
        """As a debugger traces it. The interpreter must not go on to look for the exception."""

        def code(window: Window, job: Job) -> None:
            window.open(job)  # type: ignore[arg-type]
            try:
                invoke(spin_from, ("strike",), {})
            finally:
                window.shut()

        before = sys.gettrace()
        window, job, how = self.run(code, hit)
        assert (how, job.interrupts, window._struck) == ("interrupted", 1, False)
        sys.settrace(lambda frame, event, argument: None)
        try:
            for _ in range(3):
                ask()
        finally:
            sys.settrace(before)

    def test_strikes_at_any_time_are_raised_in_user_code_only(self) -> None:
        window: Window | None = None
        jobs, ends, outside = [Job() for _ in range(1000)], threading.Event(), 0

        def serve() -> None:
            nonlocal window, outside
            window = Window(threading.get_ident(), ThreadWaits())
            for job in jobs:
                try:
                    try:
                        window.open(job)  # type: ignore[arg-type]
                        invoke(user_code, (), {})
                    finally:
                        window.shut()
                except KeyboardInterrupt:
                    window.shut()
                try:
                    for _ in range(20):
                        ask()
                except KeyboardInterrupt:
                    outside += 1
            ends.set()

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            thread = threading.Thread(target=serve)
            thread.start()
            while not ends.is_set():
                now = window and window._job
                if now is not None:
                    window.strike(now)  # type: ignore[union-attr]
            thread.join()
        finally:
            sys.setswitchinterval(interval)
        assert outside == 0
        assert window is not None
        assert (window._job, window._struck, window._striking) == (None, False, False)
        assert sum(job.interrupts for job in jobs) > 0

    def test_a_window_that_is_struck_just_now_is_shut_after_that(self) -> None:
        window, job = Window(threading.get_ident(), ThreadWaits()), Job()
        window.open(job)  # type: ignore[arg-type]
        window._striking = True
        window._lock.acquire()

        def strike() -> None:
            eventually(lambda: window._job is None)
            window._striking = False
            window._lock.release()

        other = threading.Thread(target=strike)
        other.start()
        window.shut()
        assert not window._striking
        other.join()

    @pytest.mark.parametrize("is_striking", [True, False])
    def test_what_is_raised_while_the_window_shuts_is_swallowed(self, is_striking: bool) -> None:
        window = Window(threading.get_ident(), ThreadWaits())
        window._striking = is_striking

        class Lock:
            torn = False

            def __enter__(self) -> None:
                if not self.torn:
                    self.torn = True
                    raise KeyboardInterrupt

            def __exit__(self, *_: object) -> None: ...

        window._lock = Lock()  # type: ignore[assignment]
        window.shut()
        assert window._job is None

    def test_a_wait_for_results_is_ended(self) -> None:
        waits, waiter = ThreadWaits(), Waiter()
        waiter.ident = 5
        waits.begin(5, waiter)
        assert waits.interrupt(5)
        assert waiter.interrupted
        assert not waits.interrupt(6)


def ask() -> None: ...


def user_code() -> None:
    for _ in range(500):
        ask()


def hit(window: Window, job: Job) -> None:
    eventually(lambda: (window.strike(job), job.interrupts)[1])  # type: ignore[arg-type]


def spin_from(event: str) -> None:
    stage.reach(event)
    stage.spin()


def reach_and_wait(reached: str, awaited: str) -> None:
    stage.reach(reached)
    stage.await_(awaited)


class Pickling:
    """Runs for long while it is pickled or unpickled."""

    def __reduce__(self) -> Any:
        stage.reach("waits")
        stage.spin()
        return object, ()


class Slow:
    def answer(self) -> Any:
        return Pickling()

    async def answer_later(self) -> Any:
        return Pickling()

    def ready(self) -> str:
        return "ready"


@pytest.mark.parametrize(
    ("each", "method"),
    [("plain", "answer"), ("threaded", "answer"), ("asyncio", "answer"), ("asyncio", "answer_later")],
    indirect=["each"],
)
def test_an_answer_that_takes_long_to_pickle_is_interrupted(each: Scene, method: str) -> None:
    def body(scene: Scene) -> Any:
        ref = scene.call(method)
        stage.await_("waits")
        scene.cancel(ref, CancelMode.INTERRUPT)
        with pytest.raises(Exception, match="was cancelled"):
            scene.get(ref)
        return scene.ask("ready")

    assert each.play(body, Slow) == "ready"
