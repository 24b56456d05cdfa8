"""The installation of packages in a notebook: its lines under the cell, and the stop button that ends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_packages import slow_source
from test_kernel import Kernel

from nbactors.testing import eventually

pytestmark = pytest.mark.slow

CODE = """
import nbactors as ray
ray.init(num_cpus=1)
@ray.remote
def read():
    import slowpoke
    return slowpoke.VERSION
def submit():
    return read.options(runtime_env={"pip": [SOURCE]}).remote()
"""


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    kernel = Kernel(f"{tmp_path}/packages.ipynb")
    try:
        kernel.run(f"SOURCE = {str(slow_source(tmp_path))!r}" + CODE)
        yield kernel
    finally:
        kernel.stop()


@pytest.mark.parametrize(
    "code", ["submit()", "import asyncio; await asyncio.sleep(0); submit(); await asyncio.sleep(9)"]
)
def test_the_stop_button_ends_it_and_the_next_run_installs(kernel: Kernel, code: str, tmp_path: Path) -> None:
    cell = kernel.start(code)
    kernel.read_until("installing with pip")
    eventually((tmp_path / "begun").exists, 20)
    kernel.interrupt()
    output, error = kernel.finish(cell)
    assert error.startswith(("KeyboardInterrupt", "CancelledError"))
    assert "ended without success after" in output
    (tmp_path / "go").touch()
    assert "ready after" in kernel.run("ref = submit()")
    assert kernel.run("ray.get(ref, timeout=20)").endswith("1")
