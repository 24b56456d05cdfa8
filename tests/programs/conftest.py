"""The option `--engine`, which `tests/conformance` has, too."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    try:
        parser.addoption("--engine", choices=("local", "ray"), default="local", help="which engine the suite runs on")
    except ValueError:
        pass  # another conftest has registered it already


@pytest.fixture(scope="session")
def has_ray(request: pytest.FixtureRequest) -> bool:
    """Whether real Ray runs the programs, too."""
    return str(request.config.getoption("--engine", default="local")) == "ray"
