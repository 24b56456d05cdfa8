"""What handles, references and generators of a real session show, through their lives and after its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import nbactors as ray
from nbactors.testing.polling import eventually
from nbactors.util import calls

pytestmark = pytest.mark.slow


class Worker:
    def work(self, value: Any = None) -> Any:
        return value

    def fail(self) -> None:
        raise ValueError("no <more>\nof these")

    def sleep(self) -> None:
        threading.Event().wait(60)

    def each(self) -> Iterator[int]:
        yield 1
        yield 2


def double(value: int) -> int:
    return 2 * value


@pytest.fixture
def session() -> Iterator[Any]:
    with ray.init() as context:
        yield context


def line(thing: Any) -> str:
    text: str = thing._repr_mimebundle_()["text/plain"]
    return text.partition("): ")[2]


def failure(ref: Any) -> None:
    try:
        ray.get(ref)
    except ray.exceptions.RayError:
        pass


def test_a_handle_shows_whether_its_actor_lives(session: Any) -> None:
    worker: Any = ray.remote(Worker).remote()
    ray.get(worker.work.remote())
    assert line(worker).startswith("alive, pid ")
    ref = worker.sleep.remote()
    assert line(worker).endswith(", 1 under way here")
    ray.kill(worker)
    failure(ref)
    eventually(lambda: line(worker) == "dead: it was killed by `ray.kill`.", timeout_s=5)
    assert repr(worker).endswith(", dead)")


def test_a_reference_shows_its_call_its_size_and_its_error(session: Any) -> None:
    worker: Any = ray.remote(Worker).remote()
    waiting = worker.sleep.remote()
    behind = worker.work.remote(waiting)
    task: Any = ray.remote(double).remote(waiting)
    assert [line(ref) for ref in (waiting, behind, task)] == [
        "pending: Worker.sleep",
        "pending: Worker.work",
        "pending: double",
    ]
    other: Any = ray.remote(Worker).remote()
    failed, large = other.fail.remote(), other.work.remote(b"x" * 3_000_000)
    ray.wait([failed, large], num_returns=2)
    assert line(failed) == "failed: Worker.fail: ValueError: no <more>"
    assert line(large) == "ready, 2.9 MiB"
    assert line(ray.put(1)).startswith("ready, ")
    ray.kill(worker)


def test_a_reference_shows_that_its_actor_was_killed(session: Any) -> None:
    worker: Any = ray.remote(Worker).remote()
    ray.get(worker.work.remote())
    running, behind = worker.sleep.remote(), worker.work.remote()
    ray.kill(worker)
    for ref in (running, behind):
        eventually(lambda ref=ref: line(ref).endswith("it was killed by `ray.kill`."), timeout_s=5)  # type: ignore[misc]
        assert line(ref).startswith("failed: ActorDiedError: ")


def test_a_reference_of_another_process_is_not_pending_before_its_owner_is_asked(session: Any) -> None:
    class Caller:
        def call(self, other: Any) -> list[Any]:
            return [other.sleep.remote()]

    worker, caller = ray.remote(Worker).remote(), ray.remote(Caller).remote()  # type: ignore[attr-defined]
    (ref,) = ray.get(caller.call.remote(worker))
    assert line(ref) == "not fetched"
    ray.wait([ref], timeout=0)
    assert line(ref) == "pending"
    ray.kill(worker)
    ray.wait([ref])
    assert "it was killed by `ray.kill`" in line(ref)


def test_an_error_is_shown_without_being_unpickled(session: Any) -> None:
    class Loud(Exception):
        def __reduce__(self) -> Any:
            return loud, ()

    class Raiser:
        def fail(self) -> None:
            raise Loud("heard")

    ref = ray.remote(Raiser).remote().fail.remote()  # type: ignore[attr-defined]
    ray.wait([ref])
    before = list(heard)
    assert "Loud: heard" in line(ref)
    assert heard == before


heard: list[str] = []


def loud() -> Exception:
    heard.append("unpickled")
    return Exception()


def test_a_generator_shows_how_many_items_there_are_to_read(session: Any) -> None:
    worker: Any = ray.remote(Worker).remote()
    stream = worker.each.remote()
    ray.wait([stream.completed()])
    assert line(stream) == "ended, 2 to read"
    list(stream)
    assert line(stream) == "ended"


def test_pending_calls_are_listed_and_cancelled(session: Any) -> None:
    worker: Any = ray.remote(Worker).remote()
    ray.get(worker.work.remote())
    assert calls.pending_calls() == []
    first, second = worker.sleep.remote(), worker.work.remote()
    task: Any = ray.remote(double).remote(second)
    rows = {row["call"]: row for row in calls.pending_calls()}
    assert {name: (row["plain"], bool(row["actor_id"])) for name, row in rows.items()} == {
        "Worker.sleep": (True, True),
        "Worker.work": (True, True),
        "double": (False, False),
    }
    assert calls.cancel_all(interrupt=True) == 3
    for ref in (first, second, task):
        with pytest.raises(ray.exceptions.TaskCancelledError, match=r"cancel"):
            ray.get(ref, timeout=10)
    assert calls.pending_calls() == []
    with pytest.raises(ValueError, match=r"either end the processes, or interrupt"):
        calls.cancel_all(force=True, interrupt=True)


def test_handles_and_references_of_an_ended_session_still_show() -> None:
    with ray.init() as context:
        worker: Any = ray.remote(Worker).remote()
        ready, pending = worker.work.remote(5), worker.sleep.remote()
        ray.wait([ready])
        stream = worker.each.remote()
        assert "open" in context._repr_html_()
    begun = time.monotonic()
    shown = [line(thing) for thing in (worker, ready, pending, stream)]
    assert time.monotonic() - begun < 1
    assert "its session has been shut down" in shown[0]
    assert shown[1].startswith("ready")
    assert shown[2].startswith("failed")
    assert repr(context).endswith(", ended)")
    assert not ray.is_initialized(), "showing starts no session"
