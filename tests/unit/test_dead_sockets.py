"""What `nbactors doctor` takes for sockets of killed processes."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

from nbactors.local import surroundings


def test_only_sockets_without_a_listener_are_dead() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        (Path(place) / "node.lock").write_text("")
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as left:
            listener.bind(f"{place}/node.sock")
            listener.listen()
            left.bind(f"{place}/left")
            assert surroundings._dead_sockets(place) == [f"{place}/left"]
