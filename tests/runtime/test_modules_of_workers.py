"""What a worker need not do at its start: it has the modules of its forkserver, and was forked before its order."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import psutil
import pytest

import nbactors as ray
from nbactors.testing import eventually


@pytest.fixture
def session(own_directory: Path) -> Iterator[None]:
    ray.init(num_cpus=2)
    yield
    ray.shutdown()


def _actor(*, is_async: bool) -> Any:
    """Return an actor class of no module, which travels by value as that of a notebook does."""

    class Plain:
        def imported(self) -> list[str]:
            from nbactors.local.worker import early

            return sorted(set(sys.modules) - (early.inherited or set()))

    class Async(Plain):
        async def imported(self) -> list[str]:
            return super().imported()

    return Async if is_async else Plain


@pytest.mark.parametrize(
    ("is_async", "options"),
    [(False, {}), (False, {"max_concurrency": 2}), (True, {})],
    ids=["plain", "threads", "async"],
)
@pytest.mark.usefixtures("session")
def test_an_actor_imports_nothing_before_user_code_does(is_async: bool, options: dict[str, Any]) -> None:
    actor = ray.remote(_actor(is_async=is_async)).options(**options).remote()
    assert ray.get(actor.imported.remote()) == []


@pytest.mark.usefixtures("session")
def test_a_task_imports_nothing_before_user_code_does() -> None:
    @ray.remote
    def imported() -> list[str]:
        from nbactors.local.worker import early

        return sorted(set(sys.modules) - (early.inherited or set()))

    assert ray.get(imported.remote()) == []


@pytest.mark.usefixtures("session")
def test_a_worker_whose_path_leads_to_another_cloudpickle_has_that(tmp_path: Path) -> None:
    """Code travels as before, and a worker of another path has the session's."""
    source = Path(cloudpickle.__file__).parent
    other = tmp_path / "cloudpickle"
    other.mkdir()
    for file in source.glob("*.py"):
        (other / file.name).write_text(file.read_text())

    class Where:
        def file(self) -> tuple[str, str, int]:
            import cloudpickle

            from nbactors.definitions import cloud

            made = cloudpickle.loads(cloudpickle.dumps(lambda: 3))
            return cloudpickle.__file__, cloud.cloudpickle.__file__, made()

    actor_class = ray.remote(Where)
    for env in ({"py_modules": [str(other)]}, {"working_dir": str(tmp_path)}):
        mine = str(other / "__init__.py")
        assert ray.get(actor_class.options(runtime_env=env).remote().file.remote()) == (mine, mine, 3)
    theirs = str(source / "__init__.py")
    assert ray.get(actor_class.remote().file.remote()) == (theirs, theirs, 3)


@pytest.mark.usefixtures("session")
def test_an_actor_lives_in_a_process_that_has_waited_for_it() -> None:
    class Looking:
        def pids(self) -> tuple[int, int]:
            return os.getpid(), os.getppid()

    actor_class = ray.remote(Looking).options(num_cpus=0)
    actor = actor_class.remote()
    pid, forkserver = ray.get(actor.pids.remote())

    def has_waited() -> bool:
        """Return whether the next actor's process is there now. It is another one if the node knows of it too late."""
        nonlocal actor, pid
        waiting = {child.pid for child in psutil.Process(forkserver).children()} - {pid}
        actor = actor_class.remote()
        pid, _ = ray.get(actor.pids.remote())
        return pid in waiting

    assert eventually(has_waited)
