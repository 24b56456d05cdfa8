"""A full disk under the spilled values is an error that says what to do. It kills no process, and leaks nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1 << 20
SCRIPT = Path(__file__).with_name("full_disk_session.py")

TMPFS = "mount -t tmpfs -o size=60m none {directory}"
DISK = """
mount -t tmpfs none {directory}
mkdir {directory}/lower {directory}/upper {directory}/merged
mkdir {directory}/upper/of
mount -t tmpfs -o size=60m none {directory}/upper/of
mkdir {directory}/upper/of/files {directory}/upper/of/work
mount -t overlay -o lowerdir={directory}/lower,upperdir={directory}/upper/of/files,workdir={directory}/upper/of/work \\
    none {directory}/merged
"""
"""A file system that does not look like memory, and has 60 MiB."""


def run(mounts: str, directory: Path, spill: Path, large: int) -> subprocess.CompletedProcess[str]:
    """Run the session where a file system is mounted that only it sees. Skip the test where this is forbidden."""
    inside = f"set -e\n{mounts.format(directory=directory)}\n"
    unshare = ["unshare", "--mount", "--map-root-user"]
    try:
        allowed = subprocess.run([*unshare, "sh", "-c", inside], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if allowed.returncode:
        pytest.skip(f"no file system can be mounted here: {allowed.stderr.strip()}")
    return subprocess.run(
        [*unshare, "sh", "-c", inside + 'exec "$0" "$@"', sys.executable, str(SCRIPT), str(large)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "NBACTORS_SPILL_DIR": str(spill)},
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "why"), [("tmpfs", "take memory, too"), ("disk", "No space left on device")])
def test_values_beyond_a_full_disk_are_refused_and_later_ones_find_room(
    tmp_path: Path, own_directory: Path, kind: str, why: str
) -> None:
    spill = tmp_path if kind == "tmpfs" else tmp_path / "merged"
    done = run(TMPFS if kind == "tmpfs" else DISK, tmp_path, spill, (35 if kind == "tmpfs" else 52) * MIB)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for part in ("object store of this process (pid ", "of 40 MiB in memory", "MiB on disk", str(spill), why):
        assert part in found["text"]
    assert "del ref" in found["text"]
    assert "NBACTORS_SPILL_DIR" in found["text"]
    assert found["descriptors"] == 0
    assert found["whole"]
    assert found["later"]
    assert found["large"], "nothing takes the room of the values that are gone"
    # Memory and disk may each have a little less left than the 10 units of 1 MiB that the largest value takes. The
    # other 80 MiB of 100 hold 18 values, of which the session has dropped 6.
    assert found["values"] >= (3 if kind == "tmpfs" else 12)
