"""A live kernel for the tests of a module, with a session of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jupyter_core.utils import ensure_event_loop
from live_kernel import LiveKernel


@pytest.fixture(scope="module", autouse=True)
def _loop() -> Iterator[None]:
    """The event loop that jupyter_client makes for its blocking calls, and keeps."""
    loop = ensure_event_loop()
    yield
    loop.close()


@pytest.fixture(scope="module")
def shared(_loop: None) -> Iterator[LiveKernel]:
    kernel = LiveKernel()
    yield kernel
    kernel.stop()


@pytest.fixture
def kernel(shared: LiveKernel, request: pytest.FixtureRequest) -> Iterator[LiveKernel]:
    """The kernel after `init()` and the module's `SETUP`."""
    shared.open(getattr(request.module, "SETUP", ""))
    yield shared
    shared.close()
