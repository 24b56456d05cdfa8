"""The packages of a runtime_env: installed once, seen by its workers alone, and nothing half made ever stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from small_packages import slow_source, wheel

import nbactors as ray
from nbactors.exceptions import RuntimeEnvSetupError
from nbactors.frontend.interrupts import INTERRUPTS
from nbactors.local.packages import installer
from nbactors.local.packages.program import SEES_SESSION
from nbactors.local.worker import applying
from nbactors.testing import eventually


@ray.remote
def version_of(name: str) -> Any:
    return __import__(name).VERSION


@ray.remote
def path_of_program(name: str) -> str:
    code = f"import {name}, pytest; print({name}.VERSION)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@ray.remote
class Reader:
    def read(self, name: str) -> Any:
        return __import__(name).VERSION


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "cache" / "nbactors" / "environments"


@pytest.fixture
def session(own_directory: Path, cache: Path) -> Iterator[Path]:
    ray.init(num_cpus=2)
    yield cache
    ray.shutdown()


def kept(cache: Path) -> list[Path]:
    """The environments in the cache, whole or not."""
    return [path for path in cache.iterdir() if path.is_dir()] if cache.exists() else []


def from_wheels(directory: Path, *packages: str) -> list[str]:
    return [f"--find-links {directory}", *packages]


def test_tasks_and_actors_get_their_packages_and_others_do_not(
    session: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wheel(tmp_path / "wheels", "tiny", "1.0")
    wheel(tmp_path / "wheels", "tiny", "2.0")
    first, second = ({"pip": from_wheels(tmp_path / "wheels", f"tiny=={one}")} for one in ("1.0", "2.0"))
    assert ray.get(version_of.options(runtime_env=first).remote("tiny"), timeout=60) == "1.0"
    assert ray.get(Reader.options(runtime_env=second).remote().read.remote("tiny"), timeout=60) == "2.0"
    assert ray.get(Reader.options(runtime_env=first).remote().read.remote("tiny"), timeout=60) == "1.0"
    with pytest.raises(ModuleNotFoundError, match="tiny"):
        ray.get(version_of.remote("tiny"), timeout=60)
    said = capfd.readouterr().err
    assert said.count("installing with pip") == said.count("ready after") == 2, "each list once"
    assert "tiny==1.0" in said


def test_a_program_that_a_worker_starts_finds_its_packages_and_those_of_the_session(
    session: Path, tmp_path: Path
) -> None:
    env = {"pip": [str(wheel(tmp_path / "wheels", "tiny"))]}
    assert ray.get(path_of_program.options(runtime_env=env).remote("tiny"), timeout=60) == "1.0"


@pytest.mark.usefixtures("session")
def test_packages_precede_those_of_the_session_and_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "tiny.py").write_text("VERSION = 'own'")
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    env = {"pip": [str(wheel(tmp_path / "wheels", "tiny"))]}
    assert ray.get(version_of.remote("tiny"), timeout=60) == "own"
    assert ray.get(version_of.options(runtime_env=env).remote("tiny"), timeout=60) == "1.0"


@pytest.mark.usefixtures("session")
def test_a_requirements_file_may_name_others_by_relative_paths(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "tiny")
    wheel(tmp_path / "wheels", "small")
    (tmp_path / "more.txt").write_text("small\n")
    (tmp_path / "requirements.txt").write_text(f"# ours\n--find-links {tmp_path}/wheels\ntiny  # small\n-r more.txt\n")
    env = {"pip": str(tmp_path / "requirements.txt")}
    assert ray.get(version_of.options(runtime_env=env).remote("small"), timeout=60) == "1.0"


def test_a_wheel_that_was_built_again_is_installed_again(session: Path, tmp_path: Path) -> None:
    for text in ("first", "and second"):
        env = {"pip": [str(wheel(tmp_path / "wheels", "tiny", source=f"VERSION = {text!r}"))]}
        assert ray.get(version_of.options(runtime_env=env).remote("tiny"), timeout=60) == text
    assert len(kept(session)) == 2


def test_all_that_pip_has_written_is_in_the_error_and_the_next_call_tries_again(session: Path, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    env = {"pip": from_wheels(tmp_path / "wheels", "tiny")}
    whole = r"(?s)Failed to set up runtime environment.*pip could not install.*No matching distribution found for tiny"
    with pytest.raises(RuntimeEnvSetupError, match=whole):
        ray.get(version_of.options(runtime_env=env).remote("tiny"), timeout=60)
    with pytest.raises(RuntimeEnvSetupError, match=whole):
        ray.get(Reader.options(runtime_env=env, name="reader").remote().read.remote("tiny"), timeout=60)
    assert kept(session) == []
    wheel(tmp_path / "wheels", "tiny")
    assert ray.get(version_of.options(runtime_env=env).remote("tiny"), timeout=60) == "1.0"
    reader = Reader.options(runtime_env=env, name="reader").remote()
    assert ray.get(reader.read.remote("tiny"), timeout=60) == "1.0"


@pytest.mark.usefixtures("session")
def test_the_calls_of_a_loop_fail_at_once_after_the_first(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = version_of.options(runtime_env={"pip": ["absent-package"]})
    refs = [task.remote("absent") for _ in range(50)]
    for ref in refs:
        with pytest.raises(RuntimeEnvSetupError, match="No matching distribution found"):
            ray.get(ref, timeout=20)
    assert capfd.readouterr().err.count("installing with pip") == 1
    monkeypatch.setattr(installer, "REMEMBER_S", 0.0)
    ray.wait([task.remote("absent")], timeout=20)
    assert capfd.readouterr().err.count("installing with pip") == 1, "after some time it is tried again"


@pytest.mark.usefixtures("session")
def test_pip_check_finds_packages_that_do_not_fit(tmp_path: Path) -> None:
    path = wheel(tmp_path / "wheels", "tiny", requires="absent-package")
    options = {"packages": [str(path)], "pip_install_options": ["--no-deps"]}
    assert ray.get(version_of.options(runtime_env={"pip": options}).remote("tiny"), timeout=60) == "1.0"
    with pytest.raises(RuntimeEnvSetupError, match="requires absent-package, which is not installed"):
        ray.get(version_of.options(runtime_env={"pip": {**options, "pip_check": True}}).remote("tiny"), timeout=60)


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
@pytest.mark.usefixtures("session")
def test_uv_installs_packages(tmp_path: Path) -> None:
    env = {"uv": {"packages": [str(wheel(tmp_path / "wheels", "tiny"))], "uv_check": True}}
    assert ray.get(version_of.options(runtime_env=env).remote("tiny"), timeout=60) == "1.0"


@pytest.mark.usefixtures("own_directory", "cache")
def test_the_packages_of_a_session_are_inherited_by_nested_calls_which_may_have_others(tmp_path: Path) -> None:
    one, other = wheel(tmp_path / "wheels", "tiny"), wheel(tmp_path / "wheels", "small")

    @ray.remote
    def ask() -> tuple[Any, Any]:
        with pytest.raises(ModuleNotFoundError, match="tiny"):
            ray.get(version_of.options(runtime_env={"pip": [str(other)]}).remote("tiny"), timeout=60)
        replaced = version_of.options(runtime_env={"pip": [str(other)]}).remote("small")
        return ray.get([version_of.remote("tiny"), replaced], timeout=60)

    with ray.init(num_cpus=2, runtime_env={"pip": [str(one)]}):
        assert ray.get(ask.remote(), timeout=60) == ["1.0", "1.0"]
    with pytest.raises(RuntimeEnvSetupError, match="pip could not install"):
        ray.init(num_cpus=2, runtime_env={"pip": ["absent-package"]})
    assert not ray.is_initialized()


def test_a_cache_that_was_cleared_is_told_and_a_new_session_installs_again(session: Path, tmp_path: Path) -> None:
    env = {"pip": [str(wheel(tmp_path / "wheels", "tiny"))]}
    reader = Reader.options(runtime_env=env, max_restarts=1)
    assert ray.get(version_of.options(runtime_env=env).remote("tiny"), timeout=60) == "1.0"
    shutil.rmtree(session)
    assert ray.get(reader.remote().read.remote("tiny"), timeout=60) == "1.0"


@pytest.mark.usefixtures("session")
def test_an_actor_that_exists_is_found_without_its_packages() -> None:
    plain = Reader.options(name="reader").remote()
    found = Reader.options(name="reader", get_if_exists=True, runtime_env={"pip": ["absent-package"]}).remote()
    assert found == plain


def begun(directory: Path) -> list[int]:
    """The pids of the builds of `slowpoke` that have begun."""
    path = directory / "begun"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def is_running(pid: int) -> bool:
    """Whether a process lives. One that is to be reaped by the system's first process does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def interrupter(directory: Path) -> threading.Thread:
    """Return a thread that interrupts this process when the slow build has begun."""

    def interrupt() -> None:
        eventually(lambda: begun(directory), 20)
        os.kill(os.getpid(), signal.SIGINT)

    return threading.Thread(target=interrupt)


def test_an_interrupt_ends_the_installer_and_leaves_nothing(session: Path, tmp_path: Path) -> None:
    task = version_of.options(runtime_env={"pip": [str(slow_source(tmp_path))]})

    thread = interrupter(tmp_path)
    thread.start()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        task.remote("slowpoke")
    thread.join()
    assert [is_running(pid) for pid in begun(tmp_path)] == [False]
    assert kept(session) == []
    (tmp_path / "go").touch()
    assert ray.get(task.remote("slowpoke"), timeout=60) == 1


@pytest.mark.usefixtures("session")
def test_a_handler_of_the_program_decides_that_an_interrupt_ends_nothing(tmp_path: Path) -> None:
    task = version_of.options(runtime_env={"pip": [str(slow_source(tmp_path))]})

    thread = interrupter(tmp_path)
    signal.signal(signal.SIGINT, lambda *_: (tmp_path / "go").touch())
    INTERRUPTS.install()
    try:
        thread.start()
        ref = task.remote("slowpoke")
        thread.join()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        INTERRUPTS.install()
    assert ray.get(ref, timeout=20) == 1
    assert len(begun(tmp_path)) == 1


def test_a_cancel_ends_the_installer_of_a_nested_call(session: Path, tmp_path: Path) -> None:
    source = str(slow_source(tmp_path))

    @ray.remote
    def ask() -> Any:
        return ray.get(version_of.options(runtime_env={"pip": [source]}).remote("slowpoke"))

    ref = ask.remote()
    eventually(lambda: begun(tmp_path), 20)
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError, match="cancel"):
        ray.get(ref, timeout=20)
    assert [is_running(pid) for pid in begun(tmp_path)] == [False]
    assert kept(session) == []


@pytest.mark.usefixtures("own_directory")
def test_an_interrupt_of_init_ends_the_installer_and_opens_no_session(cache: Path, tmp_path: Path) -> None:
    thread = interrupter(tmp_path)
    thread.start()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        ray.init(num_cpus=1, runtime_env={"pip": [str(slow_source(tmp_path))]})
    thread.join()
    assert not ray.is_initialized()
    assert [is_running(pid) for pid in begun(tmp_path)] == [False]
    assert kept(cache) == []


def test_an_interrupt_ends_the_wait_for_another_thread(session: Path, tmp_path: Path) -> None:
    task = version_of.options(runtime_env={"pip": [str(slow_source(tmp_path))]})
    refs: list[Any] = []
    thread = threading.Thread(target=lambda: refs.append(task.remote("slowpoke")))
    thread.start()
    eventually(lambda: begun(tmp_path), 20)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        task.remote("slowpoke")
    timer.join()
    (tmp_path / "go").touch()
    thread.join(30)
    assert ray.get(refs, timeout=30) == [1], "the other thread has gone on"
    assert len(kept(session)) == 1


def test_a_worker_knows_the_file_by_which_programs_see_the_session() -> None:
    assert applying._SEES_SESSION == SEES_SESSION


def test_the_limit_of_the_setup_ends_the_installer(session: Path, tmp_path: Path) -> None:
    env = {"pip": [str(slow_source(tmp_path))], "config": {"setup_timeout_seconds": 4}}
    with pytest.raises(RuntimeEnvSetupError, match=r"has not installed .* within 4 s.*setup_timeout_seconds"):
        ray.get(version_of.options(runtime_env=env).remote("slowpoke"), timeout=60)
    assert [is_running(pid) for pid in begun(tmp_path)] == [False]
    assert kept(session) == []


PROGRAM = """
import sys
import nbactors as ray
@ray.remote
def read():
    import slowpoke
    return slowpoke.VERSION
ray.init(num_cpus=1)
assert ray.get(read.options(runtime_env={"pip": [sys.argv[1]]}).remote(), timeout=60) == 1
"""


@pytest.mark.usefixtures("own_directory", "cache")
def test_of_two_sessions_one_installs_and_the_other_waits_for_it(tmp_path: Path) -> None:
    source = slow_source(tmp_path)
    programs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(source)], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    lines = [program.stderr.readline() for program in programs if program.stderr is not None]
    assert sorted(line.partition("]: ")[2].partition(" ")[0] for line in lines) == ["another", "installing"]
    (tmp_path / "go").touch()
    assert [program.wait(60) for program in programs] == [0, 0]
    assert len(begun(tmp_path)) == 1
    for program in programs:
        program.communicate()


def test_a_killed_session_leaves_no_installer_and_the_next_one_installs_anew(
    own_directory: Path, cache: Path, tmp_path: Path
) -> None:
    source = slow_source(tmp_path)
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(source)], stderr=subprocess.DEVNULL) as program:
        (pid,) = eventually(lambda: begun(tmp_path), 20)
        program.kill()
    eventually(lambda: not is_running(pid))
    assert len(kept(cache)) == 1, "half made"
    (tmp_path / "go").touch()
    assert subprocess.run([sys.executable, "-c", PROGRAM, str(source)], timeout=60, check=False).returncode == 0
    assert len(begun(tmp_path)) == 2
    assert len(kept(cache)) == 1


def test_a_cache_that_cannot_be_written_is_told(session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(RuntimeEnvSetupError, match=r"cannot be written.*XDG_CACHE_HOME"):
        ray.get(version_of.options(runtime_env={"pip": ["tiny"]}).remote("tiny"), timeout=60)
    assert kept(session) == []
