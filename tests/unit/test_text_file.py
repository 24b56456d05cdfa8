"""Errors of files that the user has named: each says why, and what to do."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from nbactors.util.files import text_file
from nbactors.util.profiling import Profile


def refusal(path: str | Path, kind: type[OSError], code: int) -> str:
    """Return the text with which a file is refused."""
    with pytest.raises(kind, match="cannot be written, since") as refused:
        text_file.write(path, "text")
    assert refused.value.errno == code
    return str(refused.value)


def test_a_file_is_written_anew(tmp_path: Path) -> None:
    for text in ("a longer text", "é"):
        text_file.write(tmp_path / "file", text)
        assert (tmp_path / "file").read_text(encoding="utf-8") == text


def test_a_folder_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = refusal(tmp_path / "no" / "file", FileNotFoundError, errno.ENOENT)
    assert told.endswith(f"there is no folder '{tmp_path / 'no'}': create it, or give another path.")
    Path("file").touch()
    told = refusal("file/file", NotADirectoryError, errno.ENOTDIR)
    assert told.endswith("there is no folder 'file': create it, or give another path.")
    for path in ("no/file", "file/file"):
        with pytest.raises(OSError, match="there is no folder"):
            text_file.check_folder(path)
    text_file.check_folder("file")
    text_file.check_folder(tmp_path / "another")


def test_a_path_where_no_file_can_be(tmp_path: Path) -> None:
    assert "it is a folder: give the path of a file in it" in refusal(tmp_path, IsADirectoryError, errno.EISDIR)
    assert "name too long: give another path" in refusal(tmp_path / ("x" * 300), OSError, errno.ENAMETOOLONG)


@pytest.mark.parametrize(
    ("kind", "code", "remedy"),
    [
        (PermissionError, errno.EACCES, "you may not write there: give a path in a folder of yours."),
        (OSError, errno.EROFS, "its file system is read-only: give a path on another one."),
        (OSError, errno.ENOSPC, "the disk is full: free some space, or give a path on another one."),
    ],
)
def test_what_the_system_refuses(monkeypatch: pytest.MonkeyPatch, kind: type[OSError], code: int, remedy: str) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(code, "refused", "/file")

    monkeypatch.setattr("builtins.open", refuse)
    assert refusal("/file", kind, code).endswith(remedy)


def test_a_profile_that_cannot_be_saved_says_why(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        Profile("Worker", 1.0, 1, [(["work"], 1)]).save(tmp_path / "no" / "profile.html")
