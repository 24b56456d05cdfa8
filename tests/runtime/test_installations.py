"""A worker is of its session's installation, whichever node runs: interpreter, paths, nbactors and all libraries."""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installations import Installation, another_python, run

from nbactors.util.state import stop_node

pytestmark = pytest.mark.slow

FACTS = """
def facts():
    import os, sys, nbactors, msgspec, cloudpickle
    modules = [module.__file__ for module in (nbactors, msgspec, cloudpickle)]
    paths = [os.path.abspath(path) for path in sys.path]
    return [sys.version, sys.executable, paths, modules, sys.flags.isolated, sys.flags.optimize]
"""

ASK = """
import json
import nbactors as ray
def ask(facts):
    @ray.remote
    class Actor:
        def facts(self):
            return facts()
    print(json.dumps([facts(), ray.get(ray.remote(facts).remote(), timeout=20),
                      ray.get(Actor.remote().facts.remote(), timeout=20)]))
"""

SHOW = f"{ASK}{FACTS}\nask(facts)"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An environment of this Python."""
    made = Installation(sys.executable, tmp_path_factory.mktemp("twin"))
    made.copy_dependencies()
    return made


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An environment of another Python."""
    python = another_python()
    if python is None:
        pytest.skip("no other supported Python is on the PATH")
    made = Installation(python, tmp_path_factory.mktemp("other"))
    why_not = made.download_dependencies()
    if why_not:
        pytest.skip(f"pip cannot install what nbactors needs into an environment of {python}: {why_not[-300:]}")
    return made


def assert_alike(told: Any) -> Any:
    """Session, task and actor tell the same; return it."""
    session, task, actor = told
    assert task == session
    assert actor == session
    return session


@pytest.mark.usefixtures("own_directory")
class TestOneNode:
    def test_one_node_serves_two_installations_of_one_python(self, twin: Installation) -> None:
        ours = assert_alike(run([sys.executable, "-c", SHOW]))
        theirs = assert_alike(twin.run(SHOW))
        assert [Path(file).parent.parent for file in theirs[3]] == [twin.packages] * 3
        assert twin.packages not in [Path(file).parent.parent for file in ours[3]]

    @pytest.mark.parametrize("is_theirs", [False, True])
    def test_one_node_serves_two_pythons(self, twin: Installation, other: Installation, is_theirs: bool) -> None:
        first, second = (other, twin) if is_theirs else (twin, other)
        assert_alike(first.run(SHOW))
        session = assert_alike(second.run(SHOW))
        assert [Path(file).parent.parent for file in session[3]] == [second.packages] * 3


KEEP = """
import nbactors as ray
ray.init(namespace="shared")
class Box:
    def get(self):
        return 1
@ray.remote
class Actor:
    def add(self, x, y):
        return [x, y]
    def call(self, function):
        return function()
    def give(self):
        return lambda: 1
    def make(self):
        return Box()
actor = Actor.options(name="actor", lifetime="detached").remote()
ray.get(actor.add.remote(1, 2))
print(1)
"""

USE = """
import json
import nbactors as ray
ray.init(namespace="shared")
actor = ray.get_actor("actor")
class Actor:
    def add(self, x, y):
        return 0
found = []
for attempt in (
    lambda: ray.get(actor.call.remote(lambda: 1)),
    lambda: ray.get(actor.call.remote(ray.put(lambda: 1))),
    lambda: ray.get(actor.__ray_call__.remote(lambda self: 1)),
    lambda: ray.get(actor.give.remote()),
    lambda: ray.get(actor.make.remote()),
    lambda: ray.update(actor, Actor),
):
    try:
        found.append(repr(attempt()))
    except Exception as error:
        found.append(str(error))
print(json.dumps([found, ray.get(actor.add.remote(ray.put({"a": b"b"}), y=(None, 1.5))) == [{"a": b"b"}, (None, 1.5)]]))
"""


@pytest.mark.usefixtures("own_directory")
def test_code_that_another_python_has_sent_is_refused_and_values_are_not(
    twin: Installation, other: Installation
) -> None:
    twin.run(KEEP)
    refused, values_work = other.run(USE)
    versions = [f"Python {installation.packages.parent.name.removeprefix('python')}" for installation in (twin, other)]
    assert len(refused) == 6
    for text in refused:
        assert [version for version in versions if version not in text] == [], text
        assert "by its name" in text
    assert values_work


@pytest.fixture(scope="module")
def node(twin: Installation) -> Iterator[Installation]:
    """A node of this environment runs. Returns the one that the sessions are of."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="nbo-", dir="/tmp") as directory:
        patch.setenv("NBACTORS_DIR", directory)
        run([sys.executable, "-c", SHOW])
        yield twin
        stop_node(force=True)


class TestPaths:
    def test_a_worker_of_an_isolated_interpreter_is_isolated(self, node: Installation, tmp_path: Path) -> None:
        (tmp_path / "msgspec.py").write_text("1 / 0")
        session = assert_alike(node.run(SHOW, "-I", "-O", PYTHONPATH=str(tmp_path)))
        assert session[-2:] == [1, 1]

    def test_a_worker_imports_the_package_beside_the_script(self, node: Installation, tmp_path: Path) -> None:
        shutil.copytree(node.packages / "nbactors", tmp_path / "nbactors")
        (tmp_path / "script.py").write_text(SHOW)
        session = assert_alike(run([node.python, str(tmp_path / "script.py")]))
        assert session[3][0] == str(tmp_path / "nbactors" / "__init__.py")

    def test_a_worker_imports_the_package_from_an_archive(self, node: Installation, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "nbactors.zip", "w") as archive:
            for file in (node.packages / "nbactors").rglob("*.py"):
                archive.write(file, file.relative_to(node.packages))
        session = assert_alike(node.run(SHOW, PYTHONPATH=str(tmp_path / "nbactors.zip")))
        assert session[3][0] == str(tmp_path / "nbactors.zip" / "nbactors" / "__init__.py")

    def test_a_path_that_changes_after_the_import_moves_no_imported_package(
        self, node: Installation, tmp_path: Path
    ) -> None:
        """What the session has imported stays what it is, and the rest comes from the new path."""
        for name in ("nbactors", "msgspec"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("1 / 0")
        (tmp_path / "mine.py").write_text("")
        program = f"{ASK}{FACTS}\nimport msgspec, sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport mine\nask(facts)"
        assert_alike(node.run(program))

    def test_a_worker_finds_a_package_whose_path_was_removed_after_the_import(
        self, node: Installation, tmp_path: Path
    ) -> None:
        shutil.copytree(node.packages / "nbactors", tmp_path / "nbactors")
        shutil.move(node.packages / "nbactors", node.packages / "nbactors_away")
        try:
            program = f"import sys\nsys.path.insert(0, {str(tmp_path)!r}){ASK}{FACTS}\ndel sys.path[0]\nask(facts)"
            assert_alike(node.run(program))
        finally:
            shutil.move(node.packages / "nbactors_away", node.packages / "nbactors")


MINE = "def facts():\n    import {0}\n    return [{0}.__file__, hasattr({0}, 'mine')]\n"
"""Which module of a name the user's code gets."""


class TestNamesOfTheStandardLibrary:
    """A file of the user's has the name of a module that nbactors' workers import."""

    @pytest.mark.parametrize("name", ["random", "types", "selectors"])
    def test_a_worker_takes_the_library_s_module_that_the_session_has_imported(
        self, node: Installation, tmp_path: Path, name: str
    ) -> None:
        """A kernel has imported it before the working directory came on the path."""
        (tmp_path / f"{name}.py").write_text("mine = 1")
        start = f"import sys\npaths, sys.path[:] = sys.path[:], sys.path[1:]\nimport {name}\n"
        program = f"{start}{ASK}{MINE.format(name)}\nsys.path[:] = paths\nask(facts)"
        assert assert_alike(node.run(program, cwd=tmp_path))[1] is False

    def test_a_worker_takes_the_user_s_module_that_the_session_has_imported(
        self, node: Installation, tmp_path: Path
    ) -> None:
        (tmp_path / "random.py").write_text("mine = 1\nfrom _random import Random")
        program = f"import random{ASK}{MINE.format('random')}\nask(facts)"
        assert assert_alike(node.run(program, cwd=tmp_path)) == [str(tmp_path / "random.py"), True]

    def test_a_worker_takes_the_user_s_module_that_the_session_has_yet_to_import(
        self, node: Installation, tmp_path: Path
    ) -> None:
        """The workers themselves need it, before user code asks for it."""
        (tmp_path / "tempfile.py").write_text("mine = 1")
        session = assert_alike(node.run(f"{ASK}{MINE.format('tempfile')}\nask(facts)", cwd=tmp_path))
        assert session == [str(tmp_path / "tempfile.py"), True]


BROKEN = """
import json
import nbactors as ray
@ray.remote
class Actor:
    def call(self):
        return 1
@ray.remote
def task():
    return 1
found = []
for make in (Actor.remote().call.remote, task.remote, task.remote):
    try:
        found.append(ray.get(make(), timeout=20))
    except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError) as error:
        found.append(str(error))
print(json.dumps(found))
"""


def test_an_installation_that_lacks_a_module_says_so_at_once(node: Installation) -> None:
    """Nothing waits for ever, neither the actor nor the tasks, for a process that cannot be."""
    shutil.move(node.packages / "setproctitle", node.packages / "setproctitle_away")
    try:
        for text in node.run(BROKEN):
            assert f"{node.python} (" in text
            assert "setproctitle" in text
            assert f"{node.python} -m pip install nbactors" in text
            assert "Traceback" not in text
    finally:
        shutil.move(node.packages / "setproctitle_away", node.packages / "setproctitle")
