"""Nodes and sessions of other protocols on the same machine: they live beside each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from other_version import PROTOCOL, OtherVersion
from raw_session import RawSession

from nbactors.exceptions import RaySystemError
from nbactors.local.access import discovery, sightings
from nbactors.local.wire import messages
from nbactors.testing import eventually
from nbactors.testing.leaks import node_pid

pytestmark = pytest.mark.slow


def test_a_node_of_another_protocol_is_left_alone(own_directory: Path, tmp_path: Path) -> None:
    actor = OtherVersion(tmp_path).keep_actor()
    with RawSession() as session:
        session.create_up()
        assert {path.name for path in own_directory.iterdir()} == {str(PROTOCOL), str(messages.PROTOCOL_VERSION)}
        assert node_pid() not in [parent.pid for parent in psutil.Process(actor).parents()]
    assert psutil.Process(actor).is_running()


def test_an_actor_of_a_program_whose_files_were_replaced_says_so(own_directory: Path, tmp_path: Path) -> None:
    """Its worker begins with the new files; the node and the program have the old ones in memory."""
    replaced = OtherVersion(tmp_path)
    source = """if True:
        import sys
        import nbactors as ray
        @ray.remote
        class Actor:
            pass
        ray.init(num_cpus=1)
        print(ray.get_runtime_context().get_node_id(), flush=True)
        sys.stdin.readline()
        ray.get(Actor.remote().__ray_ready__.remote())
    """
    with subprocess.Popen(
        [sys.executable, "-c", source],
        cwd=replaced.path,
        env=replaced.environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline()
        (node,) = sightings.within(str(own_directory))
        (forkserver,) = eventually(lambda: psutil.Process(node.pid).children())
        replaced.change(
            "nbactors/local/wire/messages/message.py", r"^PROTOCOL_VERSION = .*$", "PROTOCOL_VERSION = 20202"
        )
        forkserver.kill()
        eventually(lambda: [child for child in psutil.Process(node.pid).children() if child != forkserver] == [])
        _, errors = program.communicate("go on\n", timeout=30)
    assert f"(protocol {PROTOCOL})" in errors
    assert "(protocol 20202)" in errors
    assert "Restart the one that began before nbactors was installed anew" in errors


def test_a_program_whose_files_were_replaced_is_told_to_restart(
    own_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node that it starts is of the files' version, and not of the one that it has in memory itself."""
    replaced = OtherVersion(tmp_path)
    monkeypatch.setattr(discovery, "PACKAGE", f"{replaced.path}/nbactors/")
    with pytest.raises(RaySystemError, match=r"(?s)was installed anew.*nbactors .*in memory.*Restart the program"):
        discovery.connect_node()
