"""Checkpoints on disk."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from nbactors.upkeep import checkpoint_store
from nbactors.upkeep.checkpoint_store import BadCheckpointError, CheckpointStore, read, read_header


@pytest.fixture(autouse=True)
def state_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("NBACTORS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_written_state_is_read_again() -> None:
    path = CheckpointStore("space", "name").write("Model", {"weights": np.arange(1000.0), "epoch": 3})
    header, state = read(path)
    assert (header["class"], header["version"], state["epoch"]) == ("Model", 1, 3)
    np.testing.assert_array_equal(state["weights"], np.arange(1000.0))
    state["weights"][0] = 7.0  # it is the actor's own, to go on with


def test_versions_are_counted_and_the_latest_three_are_kept() -> None:
    store = CheckpointStore("space", "name")
    for number in range(5):
        store.write("Model", number)
    assert [(read_header(path)["version"], read(path)[1]) for path in store.paths()] == [(5, 4), (4, 3), (3, 2)]


def test_only_the_user_may_read_checkpoints(state_directory: Path) -> None:
    path = CheckpointStore("space", "name").write("Model", 1)
    assert path.stat().st_mode & 0o777 == 0o600
    for place in path.parents:
        assert place.stat().st_mode & 0o777 == 0o700
        if place == state_directory:
            break


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b/c"), ("a/b", "c")),
        (("..", ".."), (".", ".")),
        (("x" * 300, "n"), ("x" * 299, "n")),
        (("é", "ü"), ("e", "u")),
    ],
)
def test_different_names_have_different_files(
    one: tuple[str, str], other: tuple[str, str], state_directory: Path
) -> None:
    first, second = CheckpointStore(*one).write("M", 1), CheckpointStore(*other).write("M", 2)
    assert first != second
    assert (read(first)[1], read(second)[1]) == (1, 2)
    assert state_directory.resolve() in first.resolve().parents


@pytest.mark.parametrize("change", ["cut", "flipped", "empty", "foreign", "format"])
def test_a_damaged_file_is_refused(change: str) -> None:
    path = CheckpointStore("space", "name").write("Model", list(range(1000)))
    data = path.read_bytes()
    changed = {
        "cut": data[:-10],
        "flipped": data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
        "empty": b"",
        "foreign": b"#!/bin/sh\n" * 10,
        "format": data.replace(b'"format": 1', b'"format": 9'),
    }
    path.write_bytes(changed[change])
    with pytest.raises(BadCheckpointError, match=r"ends too early|damaged|no checkpoint|another version"):
        read(path)


def test_a_state_that_cannot_be_pickled_leaves_no_file(state_directory: Path) -> None:
    store = CheckpointStore("space", "name")
    store.write("Model", 1)
    with pytest.raises(TypeError, match="cannot pickle"):
        store.write("Model", threading.Lock())
    assert [path.name for path in store.paths()[0].parent.iterdir()] == ["1.checkpoint"]


KILLED = """
import os, signal, sys
from nbactors.upkeep import checkpoint_store
from nbactors.upkeep.checkpoint_store import CheckpointStore
store = CheckpointStore("space", "name")
store.write("Model", "first")
fsync = os.fsync
def die(descriptor):
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = die
store.write("Model", "x" * 1_000_000)
"""


@pytest.mark.slow
def test_a_process_that_dies_during_a_write_leaves_the_previous_version() -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert ended.returncode == -signal.SIGKILL
    (path,) = CheckpointStore("space", "name").paths()
    assert read(path)[1] == "first"
    assert len(list(path.parent.glob("*.part"))) == 1
    # What it has left is no version, and the next one is written as ever.
    CheckpointStore("space", "name").write("Model", "second")
    assert [read(path)[1] for path in CheckpointStore("space", "name").paths()] == ["second", "first"]


def test_environment_variables_choose_the_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NBACTORS_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert checkpoint_store.directory() == tmp_path / "nbactors" / "checkpoints"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checkpoint_store.directory() == tmp_path / ".local" / "state" / "nbactors" / "checkpoints"
