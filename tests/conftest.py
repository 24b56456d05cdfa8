"""What every test runs under: a runtime directory of its own, and a guard that nothing is left behind.

The guard looks at three places. After a test that ran without a shared session, nothing may be left but the node,
which lingers. After a module, whose session tests may share, the same. After the whole run, the node is gone too.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

# Set before anything reads it, for the notebooks' kernels too. Under /tmp, since a socket's path has 104 bytes at most.
_directory = tempfile.mkdtemp(prefix="nbt-", dir="/tmp")
os.environ["NBACTORS_DIR"] = _directory
os.environ["NBACTORS_STATE_DIR"] = f"{_directory}/state"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs the tests in the background has it ignored, by all that they start as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_UNIT = Path(__file__).parent / "unit"
_FAILED = pytest.StashKey[bool]()


def pytest_unconfigure() -> None:
    shutil.rmtree(_directory, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the unit tests first: they find most mistakes in the shortest time."""
    items.sort(key=lambda item: _UNIT not in item.path.parents)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """End the measurement of `scripts/unit-coverage` before the first test that is not a unit test."""
    coverage = sys.modules.get("coverage")
    measurement = coverage.Coverage.current() if coverage is not None else None
    if measurement is not None and _UNIT not in item.path.parents:
        measurement.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(scope="session")
def runtime_directory() -> Path:
    """The directory of this run's node."""
    return Path(_directory)


@pytest.fixture
def own_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory for one test, whose nodes end with it. Short, since sockets' paths have to be."""
    from nbactors.util.state import stop_node

    path = Path(tempfile.mkdtemp(prefix="nbo-", dir="/tmp"))
    monkeypatch.setenv("NBACTORS_DIR", str(path))
    yield path
    # As it was, whatever the test has made of it.
    monkeypatch.setenv("NBACTORS_DIR", str(path))
    stop_node(force=True)
    shutil.rmtree(path, ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=("local", "cluster", "ray"),
        default="local",
        help="on which engine tests of all engines run",
    )
    parser.addoption(
        "--nodes",
        type=int,
        choices=(1, 3),
        default=1,
        help="how many nodes the cluster has that the tests of the conformance suite share (with --engine cluster)",
    )


def _is_on_ray(config: pytest.Config) -> bool:
    """Whether the suite runs on a Ray cluster, which answers for its own processes."""
    return config.getoption("--engine", default="local") != "local"


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_by_the_run(request: pytest.FixtureRequest) -> Iterator[None]:
    if _is_on_ray(request.config):
        yield
        return
    from nbactors.testing.leaks import Holdings, settle

    before = Holdings.now(include_node=True)
    yield
    try:
        # What a failed test has left is no news.
        if not request.session.testsfailed:
            _drop_ended_kernels(request.session)
            settle(before, timeout_s=8.0, include_node=True)
    finally:
        _end_node()


@pytest.fixture(scope="module", autouse=True)
def _garbage_of_the_module_alone() -> None:
    """Take the objects of before the module out of garbage collection: modules, tests, what mypy keeps.

    Many tests and the guard call `gc.collect`, which takes some 100 ms with those objects, and 2 ms without.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_by_the_module(
    request: pytest.FixtureRequest, _nothing_left_by_the_run: None, _garbage_of_the_module_alone: None
) -> Iterator[None]:
    if _is_on_ray(request.config):
        yield
        return
    from nbactors.testing.leaks import Holdings, settle

    before = Holdings.now()
    failed_before = request.session.testsfailed
    yield
    # What a failed test left is reported with it: its traceback holds its variables.
    if request.session.testsfailed == failed_before:
        assert not _session_runs(), "the module has left its session open: end it with shutdown()"
        settle(before)


@pytest.fixture(autouse=True)
def _nothing_left_by_the_test(request: pytest.FixtureRequest, _nothing_left_by_the_module: None) -> Iterator[None]:
    if _is_on_ray(request.config) or _session_runs():
        yield
        return
    from nbactors.testing.leaks import Holdings, settle

    before = Holdings.now()
    yield
    # A session that runs now is one that the module's tests share.
    if not request.node.stash.get(_FAILED, False) and not _session_runs():
        settle(before)


def _drop_ended_kernels(session: pytest.Session) -> None:
    """Free the kernels of the notebooks that nbval has run. Each has ended, but nbval keeps /dev/null open for it."""
    notebooks = {item.parent for item in session.items if getattr(item.parent, "kernel", None) is not None}
    if not notebooks:
        return
    from jupyter_core.utils import ensure_event_loop

    for notebook in notebooks:
        notebook.kernel = None  # type: ignore[union-attr]
    ensure_event_loop().close()
    gc.unfreeze()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of that file, which nbval has opened
        gc.collect()


def _session_runs() -> bool:
    """Whether this process has a session now. Imports nothing: a test may be about the import."""
    engine = sys.modules.get("nbactors.engine")
    return engine is not None and engine.running() is not None


def _end_node() -> None:
    """End a node that is still there, so that a failed run leaves nothing on the machine either."""
    from nbactors.testing.leaks import node_pid

    if node_pid():
        from nbactors.util.state import stop_node

        stop_node(force=True)
