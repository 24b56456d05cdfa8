"""In a memory cgroup no process is killed for memory, whatever is put and returned: the rest is spilled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance.waiting import eventually

ROOTS = {"memory.limit_in_bytes": Path("/sys/fs/cgroup/memory"), "memory.max": Path("/sys/fs/cgroup")}
LIMIT = 1 << 30


def _is_left(cgroup: Path) -> bool:
    try:
        cgroup.rmdir()
    except OSError:  # the node of the session still runs in it
        return False
    return True


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A memory cgroup of 1 GiB, where this process may make one."""
    for name, root in ROOTS.items():
        path = root / "nbactors-test"
        try:
            path.mkdir()
        except OSError:
            continue
        try:
            (path / name).write_text(str(LIMIT))
        except OSError:
            path.rmdir()
            continue
        yield path
        eventually(lambda made=path: _is_left(made), 30)
        return
    pytest.skip("no memory cgroup can be made here")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("node", ["inside", "outside"])
def test_values_beyond_the_cgroup_are_spilled(cgroup: Path, tmp_path: Path, node: str) -> None:
    """The node, and with it the workers, may be outside of the session's cgroup."""
    environ = {**os.environ, "NBACTORS_DIR": str(tmp_path)} if node == "inside" else None
    script = Path(__file__).with_name("in_cgroup.py")
    done = subprocess.run(
        [sys.executable, str(script), str(cgroup), "1.5"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=environ,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all there\n")
