"""Nodes and sessions of other protocols on the same machine: they live beside each other."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from other_version import PROTOCOL, OtherVersion
from raw_session import RawSession

from nbactors.exceptions import RaySystemError
from nbactors.local import discovery
from nbactors.local.wire import messages
from nbactors.testing.leaks import node_pid

pytestmark = pytest.mark.slow


def test_a_node_of_another_protocol_is_left_alone(own_directory: Path, tmp_path: Path) -> None:
    actor = OtherVersion(tmp_path).keep_actor()
    with RawSession() as session:
        session.create_up()
        assert {path.name for path in own_directory.iterdir()} == {str(PROTOCOL), str(messages.PROTOCOL_VERSION)}
        assert node_pid() not in [parent.pid for parent in psutil.Process(actor).parents()]
    assert psutil.Process(actor).is_running()


def test_a_program_whose_files_were_replaced_is_told_to_restart(
    own_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node that it starts is of the files' version, and not of the one that it has in memory itself."""
    replaced = OtherVersion(tmp_path)
    monkeypatch.setattr(discovery, "__file__", str(replaced.path / "nbactors/local/discovery.py"))
    with pytest.raises(RaySystemError, match=r"(?s)was installed anew.*nbactors .*in memory.*Restart the program"):
        discovery.connect_node()
