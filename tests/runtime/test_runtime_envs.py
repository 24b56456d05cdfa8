"""A runtime_env without packages: archives that are unpacked once, and hooks that run before user code."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_packages import wheel

import nbactors as ray
from nbactors.exceptions import RuntimeEnvSetupError
from nbactors.runtime_env import RuntimeEnv


@ray.remote
def version_of(name: str) -> Any:
    return __import__(name).VERSION


@ray.remote
def look(name: str) -> tuple[str, bool]:
    return Path(name).read_text(), os.access(name, os.X_OK)


@ray.remote
def mark_of_hook() -> str | None:
    return os.environ.get("MARK_OF_HOOK")


@ray.remote
class Marked:
    def mark(self) -> str | None:
        return os.environ.get("MARK_OF_HOOK")


def mark() -> None:
    os.environ["MARK_OF_HOOK"] = f"marked before {len(sys.argv)}"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "cache" / "nbactors"


@pytest.fixture
def session(own_directory: Path, cache: Path) -> Iterator[Path]:
    ray.init(num_cpus=2)
    yield cache
    ray.shutdown()


def archive(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, text in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o755 << 16
            file.writestr(member, text)
    return path


def test_a_zip_file_is_the_working_directory_and_is_unpacked_again_after_a_change(
    session: Path, tmp_path: Path
) -> None:
    for text in ("first", "the second"):
        task = look.options(runtime_env={"working_dir": str(archive(tmp_path / "work.zip", {"data/file": text}))})
        assert ray.get([task.remote("data/file") for _ in range(3)], timeout=20) == [(text, True)] * 3
    assert len([path for path in (session / "archives").iterdir() if path.is_dir()]) == 2


@ray.remote
def names_here() -> tuple[str, list[str]]:
    here = Path.cwd()
    return here.name, sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file())


def test_excluded_files_are_not_seen_by_workers_and_a_change_is(session: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    for name in ("main.py", "a.csv", "small.csv", "data/big"):
        (home / name).write_text(name)
    env = {"working_dir": str(home), "excludes": ["data/", "*.csv", "!small.csv"]}
    assert ray.get(names_here.options(runtime_env=env).remote(), timeout=20) == ("home", ["main.py", "small.csv"])
    (home / "a.csv").write_text("changed, and excluded")
    assert ray.get(names_here.options(runtime_env=env).remote(), timeout=20)[1] == ["main.py", "small.csv"]
    assert len([path for path in (session / "copies").iterdir() if path.is_dir()]) == 1
    (home / "more.py").write_text("")
    assert ray.get(names_here.options(runtime_env=env).remote(), timeout=20)[1] == ["main.py", "more.py", "small.csv"]
    # Without "excludes" the directory itself is used.
    with_all = ["a.csv", "data/big", "main.py", "more.py", "small.csv"]
    env = {"working_dir": str(home)}
    assert ray.get(names_here.options(runtime_env=env).remote(), timeout=20) == ("home", with_all)


@pytest.mark.usefixtures("own_directory")
def test_excludes_of_a_session_hold_for_its_modules_also_in_nested_calls(cache: Path, tmp_path: Path) -> None:
    package = tmp_path / "packaged"
    package.mkdir()
    (package / "__init__.py").write_text("import os\nVERSION = sorted(os.listdir(os.path.dirname(__file__)))")
    (package / "notes.txt").write_text("")

    @ray.remote
    def ask() -> Any:
        return ray.get(version_of.remote("packaged"))

    with ray.init(num_cpus=2, runtime_env={"py_modules": [str(package)], "excludes": ["*.txt", "__pycache__"]}):
        own, nested = ray.get([version_of.remote("packaged"), ask.remote()], timeout=20)
    assert {"__init__.py"} <= set(own) <= {"__init__.py", "__pycache__"}
    assert set(nested) <= {"__init__.py", "__pycache__"}
    assert cache.is_dir()


def test_a_copy_does_not_contain_the_cache_in_which_it_lies(session: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    session.mkdir(parents=True)
    env = {"working_dir": str(tmp_path), "excludes": ["*.csv"]}
    for _ in range(2):
        assert ray.get(names_here.options(runtime_env=env).remote(), timeout=20)[1] == ["main.py"]
    assert len([path for path in (session / "copies").iterdir() if path.is_dir()]) == 1


@pytest.mark.usefixtures("session")
def test_modules_come_from_zip_files_and_wheels(tmp_path: Path) -> None:
    zipped = archive(tmp_path / "modules.zip", {"zipped/__init__.py": "VERSION = 'zipped'"})
    env = {"py_modules": [str(zipped), str(wheel(tmp_path / "wheels", "tiny"))]}
    task = version_of.options(runtime_env=env)
    assert ray.get([task.remote("zipped"), task.remote("tiny")], timeout=60) == ["zipped", "1.0"]


def test_what_is_no_zip_file_is_told_and_not_kept(session: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_text("no archive")
    task = look.options(runtime_env={"working_dir": str(tmp_path / "broken.zip")})
    with pytest.raises(RuntimeEnvSetupError, match=r"broken\.zip cannot be unpacked: File is not a zip file"):
        ray.get(task.remote("x"), timeout=20)
    archive(tmp_path / "broken.zip", {"x": "mended"})
    task = look.options(runtime_env={"working_dir": str(tmp_path / "broken.zip")})
    assert ray.get(task.remote("x"), timeout=20) == ("mended", True)
    assert len([path for path in (session / "archives").iterdir() if path.is_dir()]) == 1


@pytest.mark.usefixtures("session")
def test_a_hook_runs_in_the_workers_of_its_runtime_env_alone(tmp_path: Path) -> None:
    env = {"worker_process_setup_hook": mark}
    assert ray.get(mark_of_hook.options(runtime_env=env).remote(), timeout=20) == "marked before 1"
    assert ray.get(Marked.options(runtime_env=env).remote().mark.remote(), timeout=20) == "marked before 1"
    assert ray.get(mark_of_hook.remote(), timeout=20) is None
    (tmp_path / "hooks.py").write_text(
        "import os\nclass Hooks:\n    @staticmethod\n    def run():\n        os.environ['MARK_OF_HOOK'] = 'dotted'\n"
    )
    env = {"py_modules": [str(tmp_path / "hooks.py")], "worker_process_setup_hook": "hooks.Hooks.run"}
    assert ray.get(mark_of_hook.options(runtime_env=env).remote(), timeout=20) == "dotted"


@pytest.mark.usefixtures("own_directory")
def test_a_hook_of_the_session_runs_in_all_workers_also_of_nested_calls() -> None:
    @ray.remote
    def ask() -> Any:
        return ray.get(mark_of_hook.remote())

    with ray.init(num_cpus=2, runtime_env=RuntimeEnv(worker_process_setup_hook=mark)):
        assert ray.get([ask.remote(), mark_of_hook.remote()], timeout=20) == ["marked before 1"] * 2


def fail() -> None:
    raise LookupError("no licence")


def leave() -> None:
    raise SystemExit("enough")


def call() -> None:
    ray.get(mark_of_hook.remote())


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("hook", "why"),
    [
        (fail, r"(?s)could not apply its runtime_env.*worker_process_setup_hook has raised.*in fail.*Error: no lic"),
        (leave, "SystemExit: enough"),
        (call, "runs before its worker has joined the session"),
        ("absent_module.hook", "No module named 'absent_module'"),
        ("os.absent_hook", "has no attribute 'absent_hook'"),
    ],
)
def test_a_hook_that_fails_is_the_stated_cause(hook: Any, why: str) -> None:
    env = {"worker_process_setup_hook": hook}
    with pytest.raises(RuntimeEnvSetupError, match=why):
        ray.get(mark_of_hook.options(runtime_env=env).remote(), timeout=20)
    with pytest.raises(RuntimeEnvSetupError, match=why):
        ray.get(Marked.options(runtime_env=env).remote().mark.remote(), timeout=20)


@pytest.mark.usefixtures("session")
def test_a_hook_that_holds_references_or_much_data_is_refused() -> None:
    ref, data = ray.put(1), bytes(2 << 20)
    for hook, why in ((lambda: ref, "refers to an ObjectRef"), (lambda: data, "at most 1048576 are allowed")):
        with pytest.raises(ValueError, match=why):
            mark_of_hook.options(runtime_env={"worker_process_setup_hook": hook}).remote()
