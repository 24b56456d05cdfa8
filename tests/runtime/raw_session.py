"""A session that speaks the protocol by hand."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil

from nbactors.local import installation
from nbactors.local.access import discovery
from nbactors.local.access.control import ControlClient
from nbactors.local.wire import ids, messages


def environment(**changes: Any) -> messages.Environment:
    facts = installation.environment(list(sys.path), os.getcwd())
    return msgspec.structs.replace(facts, **changes)


def home(directory: Path) -> Path:
    """Where the node of this protocol lies in a runtime directory."""
    return directory / str(messages.PROTOCOL_VERSION)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has collected it yet.

    One look, and not first whether there is such a process and then what it does: it may go in between.
    """
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class RawSession(ControlClient):
    """Connected, opened, and nothing else."""

    def __init__(self, facts: messages.Environment | None = None, num_cpus: float = 2.0) -> None:
        self.process_id = ids.new_process_id()
        super().__init__(discovery.connect_node(), "session", self.process_id, timeout_s=15.0)
        answer = self.request(
            messages.OpenSession(
                rid=self.next_rid(),
                namespace="raw",
                environment=facts or environment(),
                num_cpus=num_cpus,
                num_gpus=0.0,
                memory=-1.0,
                object_store_memory=-1.0,
                resources={},
                log_to_driver=True,
                graceful_shutdown_s=30.0,
            )
        )
        assert isinstance(answer, messages.SessionOpened), answer

    def create(self, **options: Any) -> bytes:
        """Ask for an actor; nobody will construct it."""
        facts: dict[str, Any] = {
            "rid": 0,
            "actor_id": ids.new_actor_id(b"raw!"),
            "class_name": "Idle",
            "name": "",
            "namespace": "",
            "get_if_exists": False,
            "detached": False,
            "placement": {"CPU": 1.0},
            "resources": {},
            "runtime_env": None,
            "sys_path": [],
            "cwd": b"",
            "meta": b"",
        }
        message = messages.CreateActor(**{**facts, **options})
        self.send(message)
        return message.actor_id

    def create_up(self, **options: Any) -> messages.ActorUp:
        """Create an actor and wait until its process listens."""
        self.create(**options)
        return self.receive(messages.ActorUp)
