"""One suite against the API alone, run on every engine: `--engine local` (default), `cluster` or `ray`.

`cluster` is nbactors on a Ray cluster, of three nodes with `--nodes 3`; `ray` is Ray itself.

A test takes the module under test from the fixture `ray` and says nothing about how it works inside. Sessions are
shared by the tests of a module (and on Ray, whose start takes seconds, by all of them); a test about starting and
ending takes `fresh`.
"""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.drivers import Drivers
from conformance.subjects import Gate, Journal
from conformance.waiting import eventually as wait_until

# What the shared session declares. A driver of its own declares what it needs.
SHARED: dict[str, Any] = {
    "namespace": "conformance",
    "num_cpus": 4,
    "num_gpus": 2,
    "resources": {"widget": 2},
}

# Ray: no second opinion on what tests print, no token files, no dashboard, GPUs declared by number.
_RAY_ENVIRONMENT = {
    "RAY_DEDUP_LOGS": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_COLOR_PREFIX": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_scheduler_spread_threshold": "0",  # of several nodes use all, and not one first
}


def pytest_configure(config: pytest.Config) -> None:
    if _engine(config) == "cluster":
        os.environ["NBACTORS_ENGINE"] = "ray"
    if _engine(config) != "local":
        os.environ.update(_RAY_ENVIRONMENT)
        # Ray's workers do not get the driver's sys.path.
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        # Ray's own warnings are not ours to mend.
        config.addinivalue_line("filterwarnings", "ignore")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    engine = _engine(config)
    name, why = {"ray": ("differs", "Ray on purpose"), "cluster": ("differs_on_cluster", "the local engine")}.get(
        engine, ("", "")
    )
    for item in items if name else ():
        for mark in item.iter_markers(name):
            item.add_marker(pytest.mark.skip(reason=f"differs from {why}: {mark.args[0]}"))
    for item in items if config.getoption("--nodes", default=1) > 1 else ():
        for mark in item.iter_markers("one_node"):
            item.add_marker(pytest.mark.skip(reason=f"on one node only: {mark.args[0]}"))


def _engine(config: pytest.Config) -> str:
    return str(config.getoption("--engine", default="local"))


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    return _engine(request.config)


@pytest.fixture(scope="session")
def module_name(engine: str) -> str:
    return "ray" if engine == "ray" else "nbactors"


@pytest.fixture(scope="session")
def _module(module_name: str) -> Iterator[Any]:
    module = importlib.import_module(module_name)
    yield module
    module.shutdown()


@pytest.fixture(scope="session")
def _extra_options(engine: str) -> dict[str, Any]:
    return {"include_dashboard": False} if engine == "ray" else {}


@pytest.fixture(scope="module", autouse=True)
def _session_ends_with_its_module(engine: str, _module: Any) -> Iterator[None]:
    yield
    if engine == "local":
        _module.shutdown()


@pytest.fixture(scope="session")
def _shared_options(
    request: pytest.FixtureRequest, _module: Any, _extra_options: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """The options of the shared session: what it declares, or a cluster whose nodes have as much each."""
    if request.config.getoption("--nodes") == 1:
        yield {**SHARED, **_extra_options}
        return
    from ray.cluster_utils import Cluster

    node = {name: amount for name, amount in SHARED.items() if name != "namespace"}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    for _ in range(request.config.getoption("--nodes") - 1):
        cluster.add_node(**node)
    yield {"address": cluster.address, "namespace": SHARED["namespace"]}
    _module.shutdown()
    cluster.shutdown()


@pytest.fixture
def ray(_module: Any, _shared_options: dict[str, Any]) -> Any:
    """The module under test, with the shared session running."""
    if not _module.is_initialized():
        _module.init(**_shared_options)
    return _module


@pytest.fixture
def fresh(_module: Any) -> Iterator[Any]:
    """The module under test with no session; whatever the test starts is ended."""
    _module.shutdown()
    yield _module
    _module.shutdown()


@pytest.fixture
def init(fresh: Any, _extra_options: dict[str, Any]) -> Callable[..., Any]:
    """Start a session of the test's own."""

    def start(**options: Any) -> Any:
        return fresh.init(**{"num_cpus": 2, **_extra_options, **options})

    return start


@pytest.fixture
def eventually() -> Callable[..., Any]:
    return wait_until


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"actor-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A file that processes append lines to."""
    return Journal(str(tmp_path / "journal"))


@pytest.fixture
def started(journal: Journal, eventually: Callable[..., Any]) -> Callable[[str], None]:
    """Wait until the journal has a line."""
    return lambda line: eventually(lambda: line in journal.lines())


@pytest.fixture
def is_cancelled(ray: Any) -> Callable[[Any], None]:
    """Check that a reference's call was cancelled, also when looked at again."""

    def check(ref: Any) -> None:
        for _ in range(2):
            with pytest.raises(ray.exceptions.TaskCancelledError, match=r"was cancelled|is canceled|^$"):
                ray.get(ref, timeout=10)

    return check


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A closed gate that other processes can wait at; open at the latest when the test ends."""
    gate = Gate.closed(str(tmp_path / "gate"))
    yield gate
    gate.open()


@pytest.fixture
def drivers(request: pytest.FixtureRequest, engine: str, module_name: str, tmp_path: Path) -> Iterator[Drivers]:
    """Further drivers beside this one, each a process. On Ray they join the shared session's cluster."""
    environ = dict(os.environ)
    if engine != "local":
        request.getfixturevalue("ray")
        environ["RAY_ADDRESS"] = importlib.import_module("ray").get_runtime_context().gcs_address
    drivers = Drivers(module_name, environ, tmp_path)
    yield drivers
    drivers.end()


@pytest.fixture
def lone_drivers(engine: str, module_name: str, tmp_path: Path) -> Iterator[Drivers]:
    """Drivers that share nothing with this process: each starts what it needs."""
    drivers = Drivers(module_name, dict(os.environ), tmp_path)
    yield drivers
    drivers.end()
