"""How an actor comes to be in its worker, and what becomes of calls that come before that."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from members import Session
from serving import KINDS, Scene, scene_of, stage

from nbactors.actor import exit_actor
from nbactors.local.submitting import restart_file
from nbactors.local.submitting.construction import Concurrency
from nbactors.local.wire import messages, restart_files
from nbactors.pickling import pickling
from nbactors.testing import eventually


class Made:
    def __init__(self, value: Any = None, then: str = "") -> None:
        self.value = value
        stage.log.append("made")
        if then == "raise":
            raise LookupError("no such thing")
        if then == "exit_actor":
            exit_actor()
        if then:
            sys.exit(int(then) if then.isdigit() else then)

    def read(self) -> Any:
        stage.log.append("read")
        return self.value


class MadeOnLoop:
    async def __init__(self, value: Any) -> None:  # type: ignore[misc] # as Ray allows
        await asyncio.sleep(0)
        self.value = value

    async def read(self) -> Any:
        return self.value


def test_the_node_learns_when_the_constructor_has_returned(each: Scene) -> None:
    def body(scene: Scene) -> Any:
        assert scene.ask("read") == 7
        return scene.worker.node_end.expect(messages.ActorConstructed)

    assert each.play(body, Made, 7) == messages.ActorConstructed(each.link.actor_id)
    assert each.worker.executor.hosted.cls is Made
    assert each.worker.executor.hosted.module == __name__


def test_the_constructor_gets_the_values_of_references(each: Scene) -> None:
    def body(scene: Scene) -> Any:
        return scene.ask("read").sum()

    assert each.play(body, Made, each.session.put(np.ones(100_000))) == 100_000


def test_an_asynchronous_constructor_is_awaited(on_loop: Scene) -> None:
    assert on_loop.play(lambda scene: scene.ask("read"), MadeOnLoop, 7) == 7


def test_the_process_title_shows_the_constructor_and_then_the_call(scene: Scene) -> None:
    def body(scene: Scene) -> list[str]:
        scene.ask("read")
        eventually(lambda: scene.worker.titles[-1:] == [""])
        return scene.worker.titles

    titles = scene.play(body, Made)
    assert titles[0] == "Made.__init__"
    assert titles[-2:] == ["Made.read", ""]


@pytest.mark.parametrize("kind", KINDS)
def test_calls_that_overtake_the_constructor_wait_for_it(tmp_path: Path, kind: str) -> None:
    with scene_of(tmp_path, KINDS[kind]) as scene:
        other = Session(tmp_path)
        other.others.update(scene.session.others)
        scene.worker.others[other.process_id] = other
        link = scene.session.prepare(Made, (7,), concurrency=KINDS[kind])
        early = other.actors.create(link.actor_id, is_known=True).link
        up = messages.ActorUp(link.actor_id, scene.worker.process_id, 0)

        def body(scene: Scene) -> Any:
            other.node_end.tell(up)
            ref = other.call(early, "read")
            eventually(lambda: scene.worker.executor._early)
            assert stage.log == []
            scene.worker.host(Made, link.actor_id)
            scene.session.node_end.tell(up)
            return other.get(ref)

        assert scene.play(body) == 7
        assert stage.log == ["made", "read"]
        other.leave()


def written(scene: Scene, *args: Any) -> bytes:
    """Write the file of an actor's construction, as its creator does, and be told by the node which actor this is."""
    link = scene.session.prepare(Made, args, concurrency=scene.worker.concurrency)
    assert link.construct is not None
    link.construct.file = restart_files.constructor(scene.worker.directory, link.actor_id)
    link.pump()
    scene.worker.host(Made, link.actor_id)
    return link.actor_id


def as_leader(scene: Scene, step: Callable[[], Any]) -> Any:
    """Run a step on the thread that handles the worker's messages; return what it returns."""
    found: list[Any] = []
    scene.worker.reactor.discard(lambda: found.append(step()))
    return eventually(lambda: found)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_an_actor_without_its_creator_constructs_itself_from_the_file(tmp_path: Path, kind: str) -> None:
    with scene_of(tmp_path, KINDS[kind]) as scene:
        array = np.arange(100_000)
        actor_id = written(scene, scene.session.put(array))

        def body(scene: Scene) -> Any:
            assert as_leader(scene, scene.worker.executor.construct_from_file)
            assert scene.worker.node_end.expect(messages.ActorConstructed).actor_id == actor_id
            return scene.worker.executor.hosted.instance.value.sum()

        assert scene.play(body) == array.sum()


def test_the_message_of_a_creator_that_comes_after_the_file_was_read_is_dropped(scene: Scene) -> None:
    actor_id = written(scene, 7)
    link = scene.session.actors.existing(actor_id)
    assert link is not None

    def body(scene: Scene) -> Any:
        executor = scene.worker.executor
        assert as_leader(scene, executor.construct_from_file)
        scene.session.node_end.tell(messages.ActorUp(actor_id, scene.worker.process_id, 0))
        assert as_leader(scene, executor.construct_from_file), "it is constructed already"
        return scene.get(scene.session.call(link, "read"))

    assert scene.play(body) == 7
    assert stage.log == ["made", "read"]


def test_a_worker_without_the_file_of_its_actor_constructs_nothing(scene: Scene) -> None:
    scene.worker.host(Made, b"a" * 16)
    assert not scene.play(lambda scene: as_leader(scene, scene.worker.executor.construct_from_file))
    assert not scene.worker.executor.constructed


class Changed(Made):
    pass


@pytest.mark.parametrize(("restarts", "cls"), [(0, Made), (1, Changed)])
def test_a_restarted_actor_has_the_class_of_its_last_update(scene: Scene, restarts: int, cls: type) -> None:
    def body(scene: Scene) -> Any:
        scene.worker.executor.hosted.restarts = restarts
        path = restart_files.changed_class(scene.worker.directory, scene.link.actor_id)
        restart_file.write(path, restart_file.parts_of(pickling.dumps_code(Changed)))
        scene.session.node_end.tell(messages.ActorUp(scene.link.actor_id, scene.worker.process_id, 0))
        scene.ask("read")
        return type(scene.worker.executor.hosted.instance)

    scene.link = scene.session.prepare(Made)
    scene.worker.host(Made, scene.link.actor_id)
    assert scene.play(body) is cls


def test_a_failed_constructor_ends_the_worker_and_tells_the_node_why(each: Scene) -> None:
    each.play(lambda scene: eventually(lambda: scene.worker.status is not None), Made, 0, "raise")
    ending = each.worker.node_end.expect(messages.Ending)
    assert ending.kind == "creation_failed"
    assert "Made.__init__() (pid=" in ending.text
    assert "LookupError: no such thing" in ending.text
    assert stage.log == ["made"]  # without the clean-up of an actor


@pytest.mark.parametrize(
    ("then", "kind", "status"),
    [("exit_actor", "exit", 0), ("0", "exit", 0), ("3", "crashed", 3), ("text", "crashed", 1)],
)
def test_a_constructor_may_end_the_actor(
    each: Scene, then: str, kind: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    each.play(lambda scene: eventually(lambda: scene.worker.status is not None), Made, 0, then)
    assert each.worker.node_end.expect(messages.Ending).kind == kind
    assert each.worker.status == status
    assert stage.log == ["made", "atexit"]
    assert capsys.readouterr().err == ("text\n" if then == "text" else "")


@pytest.mark.parametrize("kind", KINDS)
def test_only_an_actor_with_several_calls_at_once_takes_sigterm(tmp_path: Path, kind: str) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def body(scene: Scene) -> bool:
        scene.ask("read")
        return signal.getsignal(signal.SIGTERM) != before

    with scene_of(tmp_path, KINDS[kind]) as scene:
        assert scene.play(body, Made) == (kind != "plain")
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_worker_knows_the_groups_of_its_actor(tmp_path: Path) -> None:
    concurrency = Concurrency(is_async=False, max_concurrency=1, groups={"io": 2})
    with scene_of(tmp_path, concurrency) as scene:
        assert scene.worker.executor.groups == ()
        scene.play(lambda scene: scene.ask("read"), Made)
        assert scene.worker.executor.groups == ("io",)


def test_an_exception_of_a_signal_handler_in_an_idle_worker_is_printed_and_the_actor_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main thread waits for calls: there is none that could fail with it."""
    complaints: list[object] = []
    reactor = scene.worker.reactor
    wait = reactor.wait
    monkeypatch.setattr(reactor, "complain", complaints.append)

    def tear(waiter: Any, timeout: float | None) -> bool:
        if threading.current_thread() is threading.main_thread() and not complaints:
            raise LookupError("of the user's handler")
        return wait(waiter, timeout)

    monkeypatch.setattr(reactor, "wait", tear)

    def body(scene: Scene) -> Any:
        eventually(lambda: complaints)  # a worker that gets its actor before it is idle never waits
        scene.link = scene.session.create(scene.worker, Made, 7)
        return scene.ask("read")

    assert scene.play(body) == 7
    assert len(complaints) == 1
