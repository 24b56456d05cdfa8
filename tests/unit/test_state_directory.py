"""Nothing is unpickled that others than this user could have written."""

from __future__ import annotations

import os
import pickle
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbactors.upkeep.checkpoint_store import BadCheckpointError, CheckpointStore, read, read_header

SOMEBODY = 54321
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("NBACTORS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def saved(state: Path) -> Path:
    return CheckpointStore("space", "name").write("Model", 1)


def give_away(path: Path) -> None:
    os.chown(path, SOMEBODY, -1, follow_symlinks=False)


def move_behind_a_link(path: Path) -> None:
    moved = path.with_name("moved")
    path.rename(moved)
    path.symlink_to(moved)


def move_behind_a_link_of_somebody(path: Path) -> None:
    move_behind_a_link(path)
    give_away(path)


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


# What is changed: the number of directories above the file, how, and what the error says.
UNSAFE = [
    pytest.param(0, lambda path: path.chmod(0o622), "may be written by others", id="a file that others may write"),
    pytest.param(0, move_behind_a_link, "is a symbolic link", id="a link to a file"),
    pytest.param(0, make_pipe, "is no regular file", id="a pipe"),
    pytest.param(0, give_away, f"belongs to user id {SOMEBODY}", id="another user's file", marks=as_root),
    *[
        pytest.param(level, change, text, id=f"{name} {level} up", marks=marks)
        for level in (1, 2, 3)
        for name, change, text, marks in [
            ("group-writable", lambda path: path.chmod(0o770), r"may be written by others \(mode 770\)", ()),
            ("sticky", lambda path: path.chmod(0o1777), r"may be written by others \(mode 1777\)", ()),
            ("a link", move_behind_a_link, "is a symbolic link", ()),
            ("another user's", give_away, f"belongs to user id {SOMEBODY}", as_root),
        ]
    ],
    pytest.param(4, lambda path: path.chmod(0o2775), r"may be written by others \(mode 2775\)", id="a shared folder"),
    pytest.param(4, give_away, f"belongs to user id {SOMEBODY}", id="another user's folder", marks=as_root),
    pytest.param(4, move_behind_a_link_of_somebody, "is a symbolic link of user id", id="their link", marks=as_root),
    pytest.param(5, move_behind_a_link_of_somebody, "is a symbolic link of user id", id="far above", marks=as_root),
]


@pytest.mark.parametrize(("levels", "change", "says"), UNSAFE)
def test_files_that_others_could_replace_are_refused(
    saved: Path, levels: int, change: Callable[[Path], None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickle, "loads", lambda *_, **__: pytest.fail("unpickled"))
    place = [saved, *saved.parents][levels]
    change(place)
    remedy = rf"{place}' {says}.*chown, chmod go-w.*NBACTORS_STATE_DIR"
    for verb in (read, read_header):
        with pytest.raises(PermissionError, match=remedy):
            verb(saved)
    if levels:
        with pytest.raises(PermissionError, match=remedy):
            CheckpointStore("space", "name").paths()
        with pytest.raises(PermissionError, match=remedy):
            CheckpointStore("space", "name").write("Model", 2)


def move_behind_own_link(path: Path) -> None:
    moved = path.with_name("elsewhere")
    path.rename(moved)
    path.with_name("here").symlink_to(moved)
    path.symlink_to("./here/.")


SAFE = [
    pytest.param(0, lambda path: path.chmod(0o644), id="a file that others may read"),
    pytest.param(0, lambda path: os.link(path, path.with_name("other")), id="a file with two names"),
    pytest.param(1, lambda path: path.chmod(0o755), id="directories that others may read"),
    pytest.param(4, lambda path: path.chmod(0o1777), id="a folder as /tmp is"),
    pytest.param(4, move_behind_own_link, id="a folder behind links of this user"),
    pytest.param(5, lambda path: path.chmod(0o775), id="a group that may write above"),
    pytest.param(5, give_away, id="another user's above", marks=as_root),
]


@pytest.mark.parametrize(("levels", "change"), SAFE)
def test_files_that_nobody_else_can_replace_are_read(saved: Path, levels: int, change: Callable[[Path], None]) -> None:
    change([saved, *saved.parents][levels])
    assert read(saved)[1] == 1
    assert CheckpointStore("space", "name").paths() == [saved]
    assert read(CheckpointStore("space", "name").write("Model", 2))[1] == 2


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_created_files_are_private_whatever_the_umask(state: Path, umask: None) -> None:
    CheckpointStore("space", "name").write("Model", 1)
    found = [state, *state.rglob("*")]
    assert {stat.S_IMODE(path.lstat().st_mode) for path in found if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.lstat().st_mode) for path in found if path.is_file()} == {0o600}


def test_a_directory_swapped_after_the_check_is_not_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way down goes by descriptors, so what was checked is read."""
    theirs = saved.parents[1] / "theirs"
    shutil.copytree(saved.parent, theirs)
    (theirs / saved.name).write_bytes(b"another")
    fstat, swapped = os.fstat, []

    def swap_after(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        if not swapped and found.st_ino == saved.parent.stat().st_ino:
            swapped.append(saved.parent.rename(saved.parents[1] / "mine"))
            theirs.rename(saved.parent)
        return found

    monkeypatch.setattr(os, "fstat", swap_after)
    assert read(saved)[1] == 1
    assert swapped
    with pytest.raises(BadCheckpointError, match="no checkpoint"):
        read(saved)


def test_a_cycle_of_links_raises_an_error(state: Path) -> None:
    state.symlink_to(state)
    with pytest.raises(OSError, match="symbolic links"):
        CheckpointStore("space", "name").paths()


def test_a_directory_that_cannot_be_made_raises_an_explained_error(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write_text("")
    with pytest.raises(PermissionError, match=r"state' is no directory.*NBACTORS_STATE_DIR"):
        CheckpointStore("space", "name").write("Model", 1)
    monkeypatch.setenv("NBACTORS_STATE_DIR", str(state.with_name("x" * 300)))
    with pytest.raises(OSError, match=r"cannot be made \(File name too long\): set NBACTORS_STATE_DIR"):
        CheckpointStore("space", "name").write("Model", 1)


def test_a_relative_path_in_a_removed_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBACTORS_STATE_DIR", "state")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError, match="relative to the working directory, which was removed"):
        CheckpointStore("space", "name")


def test_a_user_without_a_home_gets_an_explained_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NBACTORS_STATE_DIR", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 3_000_000)  # a user id that a container was given
    with pytest.raises(FileNotFoundError, match=r"has no home.*NBACTORS_STATE_DIR"):
        CheckpointStore("space", "name")
