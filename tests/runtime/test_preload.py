"""Modules that the forkserver imports for all workers: `init(preload=…)`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import nbactors as ray
from nbactors.local import preloading
from nbactors.testing import eventually

pytestmark = pytest.mark.slow

SHARED = "shared_in_a_test"
MODULES = {
    SHARED: "import os\nPID = os.getpid()",
    "other_in_a_test": "import os\nPID = os.getpid()",
    "printing_in_a_test": "import sys\nSTREAM = sys.stdout\nprint('once for all')",
    "replacing_in_a_test": "import os, sys\nPID = os.getpid()\nsys.stdout, sys.stderr = None, object()",
    "broken_in_a_test": "raise ValueError('no licence')",
    "leaving_in_a_test": "raise SystemExit(3)",
    "threaded_in_a_test": """
        import os, threading
        PID = os.getpid()
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    """,
    "broken_with_a_thread_in_a_test": """
        import threading
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        raise ValueError("half way")
    """,
    "torch": """
        import os
        PID = os.getpid()
        class cuda:
            is_initialized = staticmethod(lambda: True)
    """,
}


@pytest.fixture(autouse=True)
def place(own_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    yield tmp_path
    ray.shutdown()


def _look(name: str) -> tuple[int, int, int]:
    module = __import__(name)
    return module.PID, os.getpid(), os.getppid()


def importer(name: str, **options: Any) -> str:
    """Return which process has imported a module for a new actor."""

    class Looking:
        def look(self) -> tuple[int, int, int]:
            return _look(name)

    pid, own, forkserver = ray.get(ray.remote(Looking).options(num_cpus=0, **options).remote().look.remote())
    return {own: "the worker", forkserver: "the forkserver"}.get(pid, "another process")


def warned(act: Callable[[], Any]) -> str:
    """Return the warning that comes while something is done, or afterwards."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        act()
        eventually(lambda: any("preload" in str(one.message) for one in found))
    return next(str(one.message) for one in found if "preload" in str(one.message))


def test_actors_and_tasks_begin_with_a_module_that_was_imported_once() -> None:
    ray.init(num_cpus=2, preload=[SHARED])
    assert importer(SHARED) == "the forkserver"
    assert importer("other_in_a_test") == "the worker"
    pid, own, forkserver = ray.get(ray.remote(_look).remote(SHARED))
    assert (pid, pid != own) == (forkserver, True)


def test_a_worker_with_a_runtime_env_imports_by_itself() -> None:
    """The module may have read variables, or packages, that the worker has others of."""
    ray.init(num_cpus=2, preload=[SHARED])
    env = {"env_vars": {"A_VARIABLE": "1"}}
    assert importer(SHARED, runtime_env=env) == "the worker"
    assert importer(SHARED) == "the forkserver"
    read = ray.remote(lambda: (os.getpid() == __import__(SHARED).PID, os.environ["A_VARIABLE"]))
    assert ray.get(read.options(runtime_env=env).remote()) == (True, "1")


def test_what_a_module_prints_is_in_the_log_of_the_forkserver_and_in_no_worker(
    own_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    ray.init(num_cpus=2, preload=["printing_in_a_test"])

    @ray.remote
    def left_to_write() -> bytes:
        """Return what the worker still has to write of what the module has printed."""
        stream, kept, (reader, writer) = __import__("printing_in_a_test").STREAM, os.dup(1), os.pipe()
        os.dup2(writer, 1)
        stream.flush()
        os.dup2(kept, 1)
        for descriptor in (kept, writer):
            os.close(descriptor)
        with open(reader, "rb") as file:
            return file.read()

    assert ray.get(left_to_write.remote()) == b""
    (log,) = own_directory.rglob("forkserver-*.log")
    assert log.read_text().endswith("importing printing_in_a_test\nonce for all\n")


def test_a_module_may_put_anything_in_the_place_of_the_streams() -> None:
    ray.init(num_cpus=2, preload=["replacing_in_a_test"])
    assert importer("replacing_in_a_test") == "the forkserver"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("broken_in_a_test", "its import has raised ValueError: no licence"),
        ("leaving_in_a_test", "its import has raised SystemExit: 3"),
        ("broken_with_a_thread_in_a_test", "its import has raised ValueError: half way"),
        ("threaded_in_a_test", r"it has started threads (1), and a process with threads cannot be forked safely"),
        ("torch", "it has initialised CUDA, which a forked process cannot use"),
        (f"{SHARED}.missing", "its import has raised ModuleNotFoundError: No module named"),
    ],
)
def test_a_module_that_cannot_be_shared_is_named_and_the_others_are_shared(name: str, why: str) -> None:
    text = warned(lambda: ray.init(num_cpus=2, preload=["other_in_a_test", name, SHARED]))
    assert f"{name} ({why}" in text
    assert text.count(" (") == 1 + why.count(" ("), "no other module is named"
    assert (importer("other_in_a_test"), importer(SHARED)) == ("the forkserver", "the forkserver")
    if name in ("threaded_in_a_test", "torch"):
        assert importer(name) == "the worker"


def test_two_modules_that_cannot_be_shared_are_both_named() -> None:
    text = warned(lambda: ray.init(preload=["threaded_in_a_test", SHARED, "torch", "broken_in_a_test"]))
    assert all(f"{name} (" in text for name in ("threaded_in_a_test", "torch", "broken_in_a_test"))
    assert importer(SHARED) == "the forkserver"


def test_a_later_session_of_the_same_environment_is_warned_too() -> None:
    first = warned(lambda: ray.init(preload=["broken_in_a_test"]))
    ray.shutdown()
    assert warned(lambda: ray.init(preload=["broken_in_a_test"])) == first


def test_a_missing_module_is_an_error_of_init() -> None:
    with pytest.raises(ModuleNotFoundError, match="no module 'nunpy' is on the path of this process") as error:
        ray.init(preload=["nunpy.linalg"])
    assert (error.value.name, ray.is_initialized()) == ("nunpy", False)


def test_sessions_of_one_node_have_their_own_modules() -> None:
    ray.init(num_cpus=2, preload=[SHARED])
    code = f"""
        import json, os, sys
        import nbactors as ray
        ray.init(num_cpus=2, preload=["other_in_a_test"])
        @ray.remote
        class Looking:
            def look(self):
                import other_in_a_test
                return [other_in_a_test.PID == os.getppid(), "{SHARED}" in sys.modules]
        print(json.dumps(ray.get(Looking.remote().look.remote())))
    """
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environ, stdout=subprocess.PIPE, check=True
    )
    assert json.loads(done.stdout) == [True, False]
    assert importer(SHARED) == "the forkserver"
    assert importer("other_in_a_test") == "the worker"


def test_numpy_is_shared_and_computes_on_as_many_threads() -> None:
    pytest.importorskip("numpy")

    class Computing:
        def threads(self) -> tuple[int, bool, int]:
            was_there = "numpy" in sys.modules
            import numpy as np

            values = np.ones((600, 600))
            assert (values @ values)[0, 0] == 600
            return len(os.listdir("/proc/self/task")), was_there, os.getppid()

    found = []
    for preload in ([], ["numpy"]):
        ray.init(num_cpus=2, preload=preload)
        threads, was_there, forkserver = ray.get(ray.remote(Computing).remote().threads.remote())
        found.append(threads)
        assert was_there == bool(preload)
        assert psutil.Process(forkserver).num_threads() == 1
        ray.shutdown()
    assert found[0] == found[1]


def test_a_module_that_kills_the_forkserver_is_named_in_the_error(place: Path) -> None:
    (place / "crashing_in_a_test.py").write_text("import os; os.abort()")
    ray.init(preload=["crashing_in_a_test"])
    with pytest.raises(ray.exceptions.RayActorError, match="importing crashing_in_a_test"):
        importer(SHARED)


@pytest.mark.parametrize(
    ("files", "uses_one"),
    [
        (["/dev/null", "socket:[7]", "/home/me/dev/nvidia"], False),
        (["/dev/nvidiactl"], True),
        (["/dev/null", "/dev/nvidia0"], True),
        (["/dev/kfd"], True),
    ],
)
def test_a_process_that_uses_a_gpu_has_its_files_open(files: list[str], uses_one: bool) -> None:
    assert preloading.holds_gpu(files) == uses_one
