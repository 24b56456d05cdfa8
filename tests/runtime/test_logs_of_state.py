"""`list_logs` and `get_log` of `nbactors.util.state`, and what it refuses of Ray's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors as ray
from nbactors.testing import eventually
from nbactors.util import state


@ray.remote
class Speaker:
    def say(self, text: str) -> str:
        print(text)
        print("to stderr", file=sys.stderr)
        return ray.get_runtime_context().get_task_id()

    def pid(self) -> int:
        return os.getpid()


@pytest.fixture(autouse=True)
def _session(own_directory: Path) -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


def text_of(**which: object) -> str:
    return "".join(state.get_log(**which))  # type: ignore[arg-type]


def test_the_log_of_an_actor_is_found_in_all_of_ray_s_ways() -> None:
    speaker = Speaker.remote()
    task_id = ray.get([speaker.say.remote(text) for text in ("\x1b[31mfirst\x1b[0m", "über")])[1]
    actor_id, node_id = speaker._actor_id.hex(), ray.get_runtime_context().get_node_id()
    eventually(lambda: text_of(actor_id=actor_id).count("to stderr") == 2)
    whole = text_of(actor_id=actor_id)
    assert "\x1b[31mfirst\x1b[0m\n" in whole
    assert "über\n" in whole
    assert text_of(pid=ray.get(speaker.pid.remote()), node_id=node_id) == whole
    eventually(lambda: (row := state.get_task(task_id)) is not None and row.worker_id)
    assert text_of(task_id=task_id) == whole
    groups = state.list_logs(node_id=node_id)
    assert sorted(groups) == ["forkserver", "node", "worker"]
    assert groups["node"] == ["node.log"]
    (name,) = [name for name in groups["worker"] if text_of(filename=name) == whole]
    assert state.list_logs(node_ip="127.0.0.1", glob_filter=f"*{name[:6]}*") == {"worker": [name]}
    assert "\nfirst\n" in f"\n{text_of(filename=name, filter_ansi_code=True)}"
    assert text_of(filename=name, tail=1) == whole.splitlines(keepends=True)[-1]
    assert b"".join(state.get_log(filename=name, encoding=None)) == whole.encode()  # type: ignore[arg-type]


def test_a_log_is_followed_until_the_process_ends() -> None:
    speaker = Speaker.remote()
    ray.get(speaker.say.remote("first"))
    pid = ray.get(speaker.pid.remote())
    found = state.get_log(pid=pid, follow=True, _interval=0.01)
    text = next(found)
    ray.get(speaker.say.remote("last"))
    del speaker
    text += "".join(found)
    assert (text.count("first"), text.count("last"), text.count("to stderr")) == (1, 1, 2)


@pytest.mark.parametrize(
    ("which", "error", "message"),
    [
        ({}, ValueError, "filename, actor_id, task_id or pid"),
        ({"actor_id": "ab" * 16}, ValueError, "no actor"),
        ({"task_id": "ab" * 24}, ValueError, "no call"),
        ({"pid": 1}, ValueError, "no worker"),
        ({"filename": "../node.sock"}, ValueError, "is no log"),
        ({"filename": "other.log"}, ValueError, "is no log"),
        ({"filename": "node.log", "node_id": "ab" * 28}, ValueError, "no node"),
        ({"filename": "node.log", "suffix": "err"}, ValueError, "one file has both"),
        ({"submission_id": "job"}, NotImplementedError, "no jobs are submitted"),
    ],
)
def test_a_log_that_is_not_there_is_refused(which: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        text_of(**which)


def test_what_has_no_meaning_on_one_machine_is_refused_with_the_reason() -> None:
    with pytest.raises(NotImplementedError, match="no process keeps a list of them"):
        state.list_runtime_envs()
    with pytest.raises(NotImplementedError, match="list_tasks"):
        state.list_cluster_events()
    with pytest.raises(NotImplementedError, match="no dashboard"):
        state.StateApiClient(address="auto")


def test_logs_need_a_node(own_directory: Path) -> None:
    ray.shutdown()
    state.stop_node()
    with pytest.raises(state.NodeMissingError, match="no node runs"):
        state.list_logs()
    assert own_directory.is_dir()
