"""The places where the code under test meets the machine: clock, chance, selector, threads. Here a world stands there.

The modules get these in place of the names that they have imported, so no seam costs the runtime anything.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from nbactors.local import current, environment, member, sockets
from nbactors.local.connections import node_link, peer_connection, peers
from nbactors.local.connections.connection import Connection
from nbactors.local.membership import Membership
from nbactors.local.reactor import blame, reactor
from nbactors.local.submitting.actor_link import LocalActorLink
from nbactors.local.submitting.pending_call import PendingCall
from nbactors.local.submitting.task_queue import TaskQueue
from nbactors.local.wire.framing import control_codec, peer_codec
from nbactors.local.worker import main
from nbactors.local.worker.running import lanes
from simulation.lane import SimulatedLane
from simulation.process import Left, SimulatedProcess, SimulatedReactor
from simulation.world import World

_worlds: list[World] = []
"""The worlds that run now; the last one counts."""

_NOT_SHARED = ("nbactors.local.store", "nbactors.local.access", "nbactors.local.node.shell")

_PEER_CODEC, _CONTROL_CODEC = peer_codec(), control_codec()
"""One for all connections: a codec has no state, and making one takes as long as ten calls."""


class _System:
    """Stands for the module `os`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def getpid(self) -> int:
        acting = _worlds[-1].acting
        return acting.pid if acting is not None else 0

    def urandom(self, count: int) -> bytes:
        return _worlds[-1].random_bytes(count)

    def kill(self, pid: int, number: int) -> None:
        """Do nothing: the worker's own attempts interrupt a call, see `SimulatedWorker`."""

    def _exit(self, status: int) -> None:
        _worlds[-1].acting.exit(status)
        raise Left


@contextmanager
def prepared() -> Iterator[None]:
    """Replace the names in the runtime's modules, and restore them at the end."""
    with pytest.MonkeyPatch.context() as patch:
        _put_in_place(patch)
        with inhabited(World(0)):
            yield


def prepare_for_good() -> None:
    """Replace the names in the runtime's modules, in a process that runs nothing but simulations."""
    _put_in_place(pytest.MonkeyPatch())
    _worlds.append(World(0))


@contextmanager
def inhabited(world: World) -> Iterator[None]:
    """Have the runtime's code run in a world."""
    _worlds.append(world)
    try:
        yield
    finally:
        _worlds.remove(world)


def _now() -> float:
    return _worlds[-1].now


def _put_in_place(patch: pytest.MonkeyPatch) -> None:
    system = _System()
    for name, module in list(sys.modules.items()):
        if name.startswith("nbactors.local") and not name.startswith(_NOT_SHARED):
            if getattr(module, "monotonic", None) is time.monotonic:
                patch.setattr(module, "monotonic", _now)
            if getattr(module, "os", None) is os:
                patch.setattr(module, "os", system)
    patch.setattr(current, "member", lambda: _worlds[-1].acting)
    patch.setattr(environment, "importable_paths", list)
    patch.setattr(member, "Reactor", SimulatedReactor)
    patch.setattr(member, "_raise_descriptor_limit", lambda: None)
    patch.setattr(reactor, "BriskSelector", lambda: _worlds[-1].acting.make_selector())
    patch.setattr(reactor, "Bell", lambda: _worlds[-1].acting.make_bell())
    for place in (blame, reactor):
        patch.setattr(place, "complain", _complain)
    patch.setattr(peer_connection, "peer_codec", lambda: _PEER_CODEC)
    patch.setattr(peers, "PeerCodec", lambda: _PEER_CODEC)
    patch.setattr(node_link, "control_codec", lambda: _CONTROL_CODEC)
    patch.setattr(main, "Process", _make_process)
    patch.setattr(main, "ForkHooks", lambda *_: SimpleNamespace(register=lambda: None))
    patch.setattr(main, "text_stream", lambda _: None)
    patch.setattr(main, "ImportedFiles", _Imported)
    patch.setattr(main, "set_title", lambda _: None)
    patch.setattr(sockets, "is_alive", lambda path: _worlds[-1].acting.network.has_listener(os.path.basename(path)))
    patch.setattr(lanes, "ThreadLane", SimulatedLane)
    # The order of a set depends on addresses, unless the hashes of its members do not.
    patch.setattr(Connection, "__hash__", _serial)
    patch.setattr(TaskQueue, "__hash__", lambda queue: zlib.crc32(queue._label.encode()))
    patch.setattr(PendingCall, "__hash__", lambda call: call.number)
    patch.setattr(LocalActorLink, "__hash__", lambda link: int.from_bytes(link.actor_id[:7], "big"))


def _serial(thing: Any) -> int:
    serial = thing.__dict__.get("_serial")
    if serial is None:
        serial = thing._serial = _worlds[-1].new_serial()
    return serial


def _complain(callback: object) -> None:
    world = _worlds[-1]
    who = world.acting.name if world.acting is not None else "nobody"
    text = f"{who}: an error that no code could handle\n{traceback.format_exc()}"
    world.complaints.append(text)
    world.note(text)


class _Imported:
    """Stands for the files that a worker has imported: no file is edited in a simulation."""

    def __init__(self, inherited: object) -> None:
        pass

    def have_changed(self) -> bool:
        return False


def _make_process(membership: Membership, on_control: Any, on_node_lost: Any) -> Any:
    world = _worlds[-1]
    name, network = world.birth
    return SimulatedProcess(world, name, network, membership, on_control, on_node_lost)
