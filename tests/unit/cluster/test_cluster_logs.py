"""The folder of a session's logs on a cluster: it goes with the session, also with one that was killed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from nbactors.cluster.observing import actor_logs

ROW: dict[str, Any] = {"actor_id": "ab", "pid": 7}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for temporary files, in which no folder counts as young."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(actor_logs, "_YOUNG_S", -1.0)
    return tmp_path


def written(position: int) -> tuple[int, str]:
    """Return what an actor has written."""
    return 4, "text"[position:]


def test_the_folder_goes_with_the_session_and_does_not_come_back(directory: Path) -> None:
    logs = actor_logs.ActorLogs()
    path = Path(logs.paths(ROW, written)["log_path"])
    assert path.read_text() == "text"
    logs.close()
    assert logs.paths(ROW, written) == {"log_path": "", "last_log_path": ""}
    assert list(directory.iterdir()) == []


def test_the_folder_of_a_killed_session_goes_with_the_next_one(directory: Path) -> None:
    killed, living, last = actor_logs.ActorLogs(), actor_logs.ActorLogs(), actor_logs.ActorLogs()
    left, kept = (Path(logs.paths(ROW, written)["log_path"]).parent for logs in (killed, living))
    os.close(killed._descriptor)  # as the end of its process does
    other = directory / f"{actor_logs.PREFIX}file"
    other.touch()
    fresh = Path(last.paths(ROW, written)["log_path"]).parent
    assert set(directory.iterdir()) == {kept, fresh, other}
    assert not left.exists()
    for logs in (living, last):
        logs.close()
    assert list(directory.iterdir()) == [other]


def test_a_young_folder_is_left_alone(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_logs, "_YOUNG_S", 60.0)
    young = directory / f"{actor_logs.PREFIX}young"
    young.mkdir()
    logs = actor_logs.ActorLogs()
    logs.paths(ROW, written)
    assert young.exists()
    logs.close()
