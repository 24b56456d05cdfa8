"""Errors of failed calls that no code reads: a script writes them to stderr when the last reference goes."""

from __future__ import annotations

import pytest

from conformance.drivers import Drivers

SETUP = """
import time
os.environ.pop("RAY_IGNORE_UNHANDLED_ERRORS", None)
ray.init()

@ray.remote
class Loader:
    def bad(self):
        raise ValueError("no data file")
    def load(self, value=None):
        return 1
    def sleep(self):
        time.sleep(60)

@ray.remote
def identity(value):
    return value

loader = Loader.remote()
ray.get(loader.load.remote())
"""

REPORT = "Unhandled error (suppress with 'RAY_IGNORE_UNHANDLED_ERRORS=1'): "


def report(drivers: Drivers, source: str) -> str:
    """Return what a script writes to stderr."""
    return drivers.run(f"{SETUP}\n{source}\nray.shutdown()")[1]


@pytest.mark.parametrize(
    "source",
    [
        "loader.bad.remote(); ray.get(loader.load.remote())",
        "ref = loader.bad.remote(); ray.get(loader.load.remote()); del ref",
    ],
)
def test_an_error_is_reported_when_its_last_reference_goes(drivers: Drivers, source: str) -> None:
    text = report(drivers, source)
    assert text.count(REPORT) == 1, text
    assert "Loader.bad()" in text
    assert text.rstrip().endswith("ValueError: no data file")


@pytest.mark.parametrize(
    "source",
    [
        "ref = loader.bad.remote()\ntry: ray.get(ref)\nexcept ValueError: del ref",
        "refs = [loader.bad.remote() for _ in range(3)]\ntry: ray.get(refs)\nexcept ValueError: del refs",
        "ref = loader.bad.remote(); ref.future().exception(); del ref",
        "ref = loader.bad.remote()\ntry: ray.get(identity.remote(ref))\nexcept ValueError: del ref",
        "ref = loader.bad.remote(); ray.get(loader.load.remote())",
        "ref = identity.remote(loader.sleep.remote()); ray.cancel(ref); ray.wait([ref], timeout=5); del ref",
        "ref = loader.sleep.remote(); ray.kill(loader); ray.wait([ref], timeout=5); del ref",
    ],
    ids=["read", "read in a list", "read by a future", "read by a dependent", "held", "cancelled", "killed"],
)
def test_no_other_error_is_reported(drivers: Drivers, source: str) -> None:
    assert "Unhandled error" not in report(drivers, source)


def test_a_variable_turns_the_reports_off(drivers: Drivers) -> None:
    source = "os.environ['RAY_IGNORE_UNHANDLED_ERRORS'] = '1'\nloader.bad.remote(); ray.get(loader.load.remote())"
    assert "Unhandled error" not in report(drivers, source)


@pytest.mark.differs("Ray reports no error after a `wait` for it, though the error was not read")
def test_a_wait_reads_no_error(drivers: Drivers) -> None:
    assert REPORT in report(drivers, "ref = loader.bad.remote(); ray.wait([ref]); del ref")


@pytest.mark.differs("Ray reports each call")
def test_a_thousand_errors_of_one_kind_are_one_report(drivers: Drivers) -> None:
    text = report(drivers, "for _ in range(1000): loader.bad.remote()\nray.get(loader.load.remote())")
    assert text.count("Traceback") + text.count("ray::Loader.bad()") == 1
    assert len(text.splitlines()) < 20
