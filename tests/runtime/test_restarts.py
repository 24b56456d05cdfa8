"""Restarts: what follows from the runtime's own ways, and has no counterpart in Ray."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import nbactors
from nbactors.testing import eventually
from nbactors.util.state import list_actors


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    nbactors.init(num_cpus=2, namespace="restarts")
    yield
    nbactors.shutdown()


def first() -> type:
    class Actor:
        def version(self) -> int:
            return 1

        def crash(self) -> None:
            os._exit(1)

    return Actor


def second() -> type:
    class Actor:
        def version(self) -> int:
            return 2

        def twice(self) -> int:
            return 4

        def crash(self) -> None:
            os._exit(1)

    return Actor


@pytest.mark.parametrize("crashes", [1, 2])
def test_a_restarted_actor_has_the_class_of_the_last_update(crashes: int) -> None:
    actor = nbactors.remote(max_restarts=-1, max_task_retries=-1)(first()).remote()
    assert nbactors.get(actor.version.remote()) == 1
    nbactors.update(actor, second())
    for _ in range(crashes):
        with pytest.raises(nbactors.exceptions.ActorUnavailableError, match="unavailable"):
            nbactors.get(actor.crash.options(max_task_retries=0).remote(), timeout=10)
        assert nbactors.get([actor.version.remote(), actor.twice.remote()], timeout=10) == [2, 4]


def test_an_update_after_a_restart_reaches_the_running_process() -> None:
    actor = nbactors.remote(max_restarts=1, max_task_retries=-1)(first()).remote()
    actor.crash.options(max_task_retries=0).remote()
    assert nbactors.get(actor.version.remote(), timeout=10) == 1
    nbactors.update(actor, second())
    assert nbactors.get(actor.version.remote(), timeout=10) == 2


def update_elsewhere(name: str) -> None:
    """Update an actor from another process than its creator's."""

    @nbactors.remote(num_cpus=0)
    def update() -> None:
        nbactors.update(nbactors.get_actor(name), second())

    nbactors.get(update.remote(), timeout=10)


@pytest.mark.parametrize("lifetime", ["detached", "non_detached"])
def test_an_update_of_any_process_reaches_the_restarts(lifetime: str) -> None:
    options = {"max_restarts": -1, "max_task_retries": -1, "name": "updated", "lifetime": lifetime}
    actor = nbactors.remote(**options)(first()).remote()
    assert nbactors.get(actor.version.remote()) == 1
    update_elsewhere("updated")
    for _ in range(2):
        actor.crash.options(max_task_retries=0).remote()
        assert nbactors.get(actor.version.remote(), timeout=10) == 2
    nbactors.kill(actor)


class Capturing:
    """Makes a class that captures a handle."""

    @staticmethod
    def of(captured: object) -> type:
        class Actor:
            def captured(self) -> object:
                return captured

        return Actor


def test_what_the_class_of_an_update_captures_lives_as_long_as_the_actor() -> None:
    actor = nbactors.remote(max_restarts=1, max_task_retries=-1)(Capturing.of(None)).remote()
    nbactors.get(actor.captured.remote())
    held = nbactors.remote(num_cpus=0)(Held).remote()
    pid = nbactors.get(held.__ray_call__.remote(lambda self: os.getpid()))
    nbactors.update(actor, Capturing.of(held))
    del held
    nbactors.kill(actor, no_restart=False)
    assert nbactors.get(nbactors.get(actor.captured.remote(), timeout=10).increment.remote(), timeout=10) == 1
    del actor
    gc.collect()  # a class is part of a cycle
    eventually(lambda: not psutil.pid_exists(pid))


def restart_files() -> list[str]:
    """Return the names of the files for restarts that lie in the node's directory."""
    folder = Path(nbactors.nodes()[0]["RayletSocketName"]).parent / "restarts"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_an_actor_without_its_creator_and_its_file_dies_with_the_reason() -> None:
    @nbactors.remote(max_calls=1, num_cpus=0)
    def create() -> int:
        actor = nbactors.remote(max_restarts=-1, name="orphan", lifetime="detached")(first()).remote()
        nbactors.get(actor.version.remote())
        return os.getpid()

    pid = nbactors.get(create.remote(), timeout=10)
    eventually(lambda: not psutil.pid_exists(pid))
    actor = nbactors.get_actor("orphan")
    (path,) = (Path(nbactors.nodes()[0]["RayletSocketName"]).parent / "restarts").iterdir()
    path.unlink()
    actor.crash.remote()
    with pytest.raises(nbactors.exceptions.ActorDiedError, match=f"the file for restarts is gone: {path}"):
        nbactors.get(actor.version.options(max_task_retries=-1).remote(), timeout=10)


@pytest.mark.parametrize("end", ["kill", "exit", "crash", "failed update"])
def test_the_files_for_restarts_are_removed_with_the_actor(end: str) -> None:
    before = restart_files()
    options = {"max_restarts": 0 if end == "failed update" else 1, "name": "filed", "lifetime": "detached"}
    actor = nbactors.remote(**options)(first()).remote()
    nbactors.get(actor.version.remote())
    if end == "failed update":
        with pytest.raises(AttributeError, match="no such hook"):
            nbactors.update(actor, failing())
        assert restart_files() == before
        nbactors.kill(actor)
        return
    nbactors.update(actor, second())
    actor_id = actor._actor_id.hex()
    assert sorted(set(restart_files()) - set(before)) == [f"{actor_id}.class", f"{actor_id}.constructor"]
    if end == "kill":
        nbactors.kill(actor)
    elif end == "exit":
        actor.__ray_terminate__.remote()
    else:
        actor.crash.remote()
        assert nbactors.get(actor.version.options(max_task_retries=1).remote(), timeout=10) == 2
        actor.crash.remote()
    eventually(lambda: restart_files() == before)


def failing() -> type:
    class Actor:
        def __nbactors_update__(self, old: type) -> None:
            raise AttributeError("no such hook")

    return Actor


class Held:
    def __init__(self) -> None:
        self.value = 0

    def increment(self) -> int:
        self.value += 1
        return self.value

    def crash(self) -> None:
        os._exit(1)


@nbactors.remote(num_cpus=0)
def call_held() -> str:
    """Call an actor to which this process had no handle before."""
    try:
        nbactors.get(nbactors.get_actor("held").increment.remote(), timeout=5)
    except nbactors.exceptions.ActorUnavailableError:
        return "unavailable"
    return "available"


def test_an_actor_that_restarts_queues_for_its_resources_again() -> None:
    actor = nbactors.remote(max_restarts=2, num_cpus=2, name="held")(Held).remote()
    assert nbactors.get(actor.increment.remote()) == 1
    other = nbactors.remote(num_cpus=2)(Held).remote()
    # The crash is no message of this process: the node may hear of it before it hears of the other actor.
    eventually(lambda: other._ray_actor_id.hex() in [row.actor_id for row in list_actors(limit=1000)])
    waiting = actor.increment.options(max_task_retries=1)
    with pytest.raises(nbactors.exceptions.ActorUnavailableError, match="was restarted"):
        nbactors.get(actor.crash.remote(), timeout=10)
    assert nbactors.get(other.increment.remote(), timeout=10) == 1  # it was first in the queue
    with pytest.raises(nbactors.exceptions.ActorUnavailableError, match="is restarting"):
        nbactors.get(actor.increment.remote(), timeout=10)
    assert nbactors.get_actor("held") == actor
    assert nbactors.get(call_held.remote(), timeout=10) == "unavailable"
    refs = [waiting.remote() for _ in range(3)]
    nbactors.cancel(refs[1])
    assert nbactors.wait(refs, num_returns=3, timeout=0.2)[0] == [refs[1]]
    nbactors.kill(actor, no_restart=False)  # no effect: no process is there
    nbactors.kill(other)
    assert nbactors.get([refs[0], refs[2]], timeout=10) == [1, 2]


def test_many_kills_leave_an_actor_alive_that_may_restart_for_ever() -> None:
    actor = nbactors.remote(max_restarts=-1, max_task_retries=-1)(Held).remote()
    for _ in range(200):
        nbactors.kill(actor, no_restart=False)
    assert nbactors.get(actor.increment.remote(), timeout=10) == 1


class Parent:
    """Has a child in a session of its own, which no kill reaches and which keeps the actor's sockets open."""

    def start(self) -> tuple[int, int]:
        libc = ctypes.CDLL(None)  # `os.fork` would close the sockets in the child
        child = libc.fork()
        if child == 0:
            libc.setsid()
            time.sleep(30)
            os._exit(0)
        return os.getpid(), child

    def pause(self, path: str) -> None:
        open(path, "w").close()
        signal.pause()

    def pid(self) -> int:
        return os.getpid()


def test_a_child_that_keeps_the_sockets_open_does_not_keep_the_actor_from_its_restart(tmp_path: Path) -> None:
    actor = nbactors.remote(max_restarts=1, max_task_retries=1)(Parent).remote()
    pid, child = nbactors.get(actor.start.remote())
    running = actor.pause.options(max_task_retries=0).remote(str(tmp_path / "runs"))
    queued = actor.pid.remote()
    eventually((tmp_path / "runs").exists)
    try:
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(nbactors.exceptions.ActorUnavailableError, match="was restarted"):
            nbactors.get(running, timeout=10)
        assert nbactors.get(queued, timeout=10) != pid
    finally:
        os.kill(child, signal.SIGKILL)
