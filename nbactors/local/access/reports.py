"""Reports about nodes: what a node replies, or else what its process shows to the system."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import psutil

from nbactors.exceptions import NodeMissingError
from nbactors.local.access import stopping
from nbactors.local.access.control import ControlClient
from nbactors.local.access.sightings import Sighting
from nbactors.local.wire import messages

RUNNING = "RUNNING"
OTHER_PROTOCOL = "OTHER_PROTOCOL"
STOPPED = "STOPPED"
SILENT = "SILENT"
CUT_OFF = "CUT_OFF"
NO_NODE = "NO_NODE"

_PROTOCOL = re.compile(r"\(protocol (\d+)\)")


@dataclass(frozen=True)
class Report:
    """The report about one node.

    Attributes:
        node: The node as it was found, with the protocol and version from its reply if it has replied.
        state: `RUNNING` if it replies; `OTHER_PROTOCOL` if it cannot be asked; `STOPPED` by a signal; `SILENT` if it
            does not reply; `CUT_OFF` if its socket is gone; `NO_NODE` if another program listens there.
        status: Its reply to "status", if it is `RUNNING`.
        available: Its free resources.
        since: When its process started, in seconds since 1970; 0 if unknown.
        workers: Process ids and titles of its workers, unless `status` lists them.
    """

    node: Sighting
    state: str
    status: messages.Listing | None = None
    available: dict[str, float] = field(default_factory=dict)
    since: float = 0.0
    workers: list[tuple[int, str]] = field(default_factory=list)


def report(node: Sighting, timeout_s: float = stopping.ANSWER_S) -> Report | None:
    """Ask a node, for three seconds or `timeout_s` at most. Return None if the node has left meanwhile."""
    process = stopping.process_of(node.pid)
    shown = _shown(node, process)
    if node.listens and shown.state != STOPPED:
        try:
            return _told(shown, min(timeout_s, stopping.ANSWER_S))
        except NodeMissingError:
            return None if node.is_node else shown
        except TimeoutError:
            # Look once more: the process may have been stopped just after the first look.
            is_stopped = _shown(node, process).state == STOPPED
            return replace(shown, state=STOPPED if is_stopped else SILENT)
        except ConnectionRefusedError:
            return None
        except OSError as error:
            found = _PROTOCOL.search(str(error))
            protocol = node.protocol or (int(found[1]) if found else 0)
            state = OTHER_PROTOCOL if found or node.is_node else NO_NODE
            return replace(shown, state=state, node=node._replace(protocol=protocol))
    return shown


def _told(shown: Report, timeout_s: float) -> Report:
    with ControlClient(shown.node.connect(), timeout_s=timeout_s) as client:
        status = client.request(messages.Query(client.next_rid(), "status"))
        available = client.request(messages.Query(client.next_rid(), "available_resources"))
        welcome = client.welcome
        assert isinstance(welcome, messages.Welcome)
        assert isinstance(status, messages.Listing)
        assert isinstance(available, messages.Listing)
        told = shown.node._replace(pid=welcome.pid, protocol=welcome.version, version=welcome.package_version)
        return replace(shown, node=told, state=RUNNING, status=status, available=available.amounts, workers=[])


def _shown(node: Sighting, process: psutil.Process | None) -> Report:
    """Report what the system shows of a process, without asking it."""
    state = CUT_OFF if not node.listens else SILENT if node.is_node else NO_NODE
    if process is None:
        return Report(node, state)
    try:
        if node.is_node and stopping.is_stopped(process):
            state = STOPPED
        since = process.create_time()
        found = [child for child in stopping.members(process) if stopping.is_worker(child)] if node.is_node else []
        workers = [(child.pid, child.cmdline()[0]) for child in found]
    except psutil.Error:
        return Report(node, state)
    return Report(node, state, since=since, workers=workers)
