"""Which files the patterns of "excludes" leave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbactors.runtime_env.excluding import mark_of, remaining
from nbactors.runtime_env.worker_setup import WorkerSetup

IN_FOLDERS = ("data/big.bin", "data/deep/b.csv", "src/data/c.py", "src/build/d.o")
FILES = ("a.csv", "small.csv", "main.py", "#e", "f[1]", *IN_FOLDERS)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "home" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "home"


def left(directory: Path, *patterns: str) -> set[str]:
    """Return the files that the patterns leave."""
    return {os.path.relpath(entry.path, directory) for entry in remaining(str(directory), patterns) if entry.is_file()}


@pytest.mark.parametrize(
    ("patterns", "excluded"),
    [
        (["*.csv"], {"a.csv", "small.csv", "data/deep/b.csv"}),
        (["*.csv", "!small.csv"], {"a.csv", "data/deep/b.csv"}),
        (["!small.csv", "*.csv"], {"a.csv", "small.csv", "data/deep/b.csv"}),
        (["/*.csv"], {"a.csv", "small.csv"}),
        (["data"], {"data/big.bin", "data/deep/b.csv", "src/data/c.py"}),
        (["data/"], {"data/big.bin", "data/deep/b.csv", "src/data/c.py"}),
        (["/data"], {"data/big.bin", "data/deep/b.csv"}),
        (["data/", "!data/big.bin"], {"data/deep/b.csv", "src/data/c.py"}),
        (["data", "!data/big.bin"], {"data/big.bin", "data/deep/b.csv", "src/data/c.py"}),
        (["src/data"], {"src/data/c.py"}),
        (["**/deep/**"], {"data/deep/b.csv"}),
        (["data/**/b.csv"], {"data/deep/b.csv"}),
        (["data/*"], {"data/big.bin", "data/deep/b.csv"}),
        (["?.csv", "src/bui[kl]d/*.[!c]"], {"a.csv", "data/deep/b.csv", "src/build/d.o"}),
        (["# main.py", "", "  "], set()),
        ([r"\#e", r"f\[1\]"], {"#e", "f[1]"}),
        (["main.py  "], {"main.py"}),
        (["*"], set(FILES)),
        ([], set()),
    ],
)
def test_patterns_are_those_of_a_gitignore_file(directory: Path, patterns: list[str], excluded: set[str]) -> None:
    assert left(directory, *patterns) == set(FILES) - excluded


def test_a_link_to_a_directory_around_it_is_left_out(directory: Path) -> None:
    (directory / "src" / "loop").symlink_to(directory)
    (directory / "linked").symlink_to(directory / "src" / "build")
    assert left(directory) == {*FILES, "linked/d.o"}


def test_a_mark_differs_after_a_change_of_what_is_left(directory: Path) -> None:
    before = mark_of(str(directory), ["*.csv"])
    (directory / "a.csv").write_text("longer than before")
    assert mark_of(str(directory), ["*.csv"]) == before
    (directory / "main.py").write_text("longer than before")
    assert mark_of(str(directory), ["*.csv"]) != before


def test_excludes_belong_to_the_directories_that_they_came_with(directory: Path) -> None:
    outer = WorkerSetup.parse({"working_dir": str(directory), "excludes": ["*.csv"]})
    inner = WorkerSetup.parse({"env_vars": {"A": "1"}})
    assert outer is not None
    assert inner is not None
    assert outer.is_unprepared()
    assert [found[:2] for found in inner.over(outer).excludes] == [(str(directory), ("*.csv",))]


def test_a_pattern_that_cannot_be_read_is_refused(directory: Path) -> None:
    with pytest.raises(ValueError, match="a pattern cannot be read"):
        WorkerSetup.parse({"working_dir": str(directory), "excludes": ["[b-a]"]})
