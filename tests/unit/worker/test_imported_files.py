"""Whether a file that was imported has changed since, without a process."""

from __future__ import annotations

import importlib
import os
import py_compile
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbactors.local.worker.inspecting.imported import ImportedFiles

NAME = "imported_in_a_test"


@pytest.fixture
def files() -> ImportedFiles:
    return ImportedFiles()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a module that is an hour old, but for the system's own time of its last change."""
    monkeypatch.syspath_prepend(tmp_path)
    path = write(tmp_path / f"{NAME}.py", "value = 1")
    yield path
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    os.utime(path, (1e9, 1e9))
    return path


def load() -> None:
    importlib.invalidate_caches()
    importlib.import_module(NAME)


def after_an_hour(files: ImportedFiles) -> None:
    """Let the last look have been an hour ago, or rather all that was written before it an hour before it."""
    files._looked_ns += 3600 * 10**9


def test_nothing_has_changed(files: ImportedFiles, module: Path) -> None:
    after_an_hour(files)
    load()
    assert not files.have_changed()
    assert not files.have_changed()


def test_an_edit_that_keeps_size_and_time(files: ImportedFiles, module: Path) -> None:
    """Between the import and the first look, so that nothing is known of the file."""
    load()
    write(module, "value = 2")
    assert files.have_changed()


@pytest.mark.parametrize("text", ["value = 22", "value = 2"])
def test_an_editor_replaces_the_file(files: ImportedFiles, module: Path, text: str) -> None:
    after_an_hour(files)
    load()
    assert not files.have_changed()
    os.replace(write(module.with_suffix(".new"), text), module)
    after_an_hour(files)
    assert files.have_changed()


def test_a_file_that_is_gone(files: ImportedFiles, module: Path) -> None:
    load()
    module.unlink()
    assert not files.have_changed(), "nothing is known of it: a module that was made for once, and removed"


def test_a_file_that_is_gone_and_was_seen(files: ImportedFiles, module: Path) -> None:
    after_an_hour(files)
    load()
    assert not files.have_changed()
    module.unlink()
    assert files.have_changed()


def test_what_was_imported_before_is_not_looked_at(module: Path) -> None:
    load()
    files = ImportedFiles()
    write(module, "value = 2")
    assert not files.have_changed()


def test_a_package_in_a_namespace(files: ImportedFiles, module: Path, tmp_path: Path) -> None:
    module.unlink()
    (tmp_path / NAME).mkdir()
    part = write(tmp_path / NAME / "part.py", "")
    importlib.invalidate_caches()
    importlib.import_module(f"{NAME}.part")
    write(part, "value = 2")
    assert files.have_changed()


def test_a_module_without_source(files: ImportedFiles, module: Path) -> None:
    py_compile.compile(str(module), cfile=str(module.with_suffix(".pyc")))
    module.unlink()
    after_an_hour(files)
    load()
    assert not files.have_changed()
    write(module, "value = 22")
    py_compile.compile(str(module), cfile=str(module.with_suffix(".pyc")))
    assert files.have_changed()


def test_an_archive(files: ImportedFiles, module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = module.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(module, module.name)
    module.unlink()
    monkeypatch.syspath_prepend(path)
    load()
    os.utime(path)
    assert files.have_changed()


def test_an_installed_package_is_watched_by_its_directory(
    files: ImportedFiles, module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages"
    (installed / NAME).mkdir(parents=True)
    shutil.move(module, installed / NAME / "__init__.py")
    monkeypatch.syspath_prepend(installed)
    after_an_hour(files)
    load()
    assert not files.have_changed()
    write(installed / NAME / "__init__.py", "value = 22")
    assert not files.have_changed()
    (installed / "package-2.dist-info").mkdir()
    assert files.have_changed()
