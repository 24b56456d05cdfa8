"""`LocalObserver`: asks the node and other processes without a session, and finds and stops nodes."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nbactors.engine.observer import Following, Observer, TaskChanges
from nbactors.exceptions import NodeMissingError
from nbactors.local import cancelling, stack_of_actor
from nbactors.local.access import discovery, sightings
from nbactors.local.access.control import ControlClient
from nbactors.local.group_facts import group_facts
from nbactors.local.wire import messages
from nbactors.local.wire.ids import PROCESS_ID_SIZE, cell_of
from nbactors.version import __version__

if TYPE_CHECKING:
    from nbactors.engine import GroupFacts
    from nbactors.local.access.reports import Report
    from nbactors.local.access.sightings import Sighting

_SINCE_1970 = time.time() - time.monotonic()
"""The begin of the monotonic clock, read once, so that a call has the same times in each listing."""

MOST_OBJECTS = 10_000
"""Most objects that each process is asked for, as in Ray."""

ASKED_AT_ONCE = 16
"""Most processes that are asked for their objects at the same time."""

MISSING_S = 0.2
"""Seconds after which a reader may look again for a node."""

ANSWER_S = 10.0
"""Seconds by which the wait for an answer is longer than the wait for a change."""


class LocalFollowing(Following):
    """See the base class."""

    def __init__(self) -> None:
        self._client: ControlClient | None = None
        self._node_id = b""
        self._seq = 0

    def next(self, timeout: float) -> TaskChanges | None:
        """See the base class."""
        try:
            if self._client is None:
                self._client = ControlClient.find()
            news = follow(self._client, self._node_id, self._seq, timeout)
        except (OSError, NodeMissingError):
            self.close()
            time.sleep(min(max(timeout, 0.0), MISSING_S))  # so that a reader that asks in a loop does not spin
            return None
        known, self._seq, self._node_id = self._seq, news.seq, news.node_id
        return changes_of(news) if news.is_snapshot or news.seq != known else None

    def close(self) -> None:
        """See the base class."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def follow(
    client: ControlClient, node_id: bytes, after: int, wait_s: float, answer_s: float = ANSWER_S
) -> messages.TaskNews:
    """Return the changes after the change `after`. Waits for an answer for `answer_s` longer than for a change."""
    news: messages.TaskNews | None = None
    tasks: list[messages.TaskRow] = []
    moments: list[messages.ActorMoment] = []
    waits: list[messages.DriverWaits] = []
    removed: list[bytes] = []
    totals: dict[bytes, messages.ActorTotals] = {}
    is_snapshot = False
    while news is None or not news.is_complete:
        asked = messages.Follow(client.next_rid(), node_id, after, wait_s if news is None else 0.0)
        answer = client.request(asked, wait_s + answer_s)
        _check(answer)
        assert isinstance(answer, messages.TaskNews)
        if answer.is_snapshot and news is not None:  # the reader has fallen behind meanwhile
            tasks, moments, waits, removed = [], [], [], []
            totals = {}
        is_snapshot |= answer.is_snapshot
        news = answer
        node_id, after = news.node_id, news.seq
        tasks += news.tasks
        moments += news.actors
        waits += news.waits
        removed += news.removed
        totals.update((each.actor_id, each) for each in news.totals)
    latest = {row.task_id: row for row in tasks}
    return messages.TaskNews(
        news.rid,
        node_id,
        after,
        is_snapshot,
        list(latest.values()),
        [] if is_snapshot else removed,
        moments,
        waits,
        news.unlisted,
        True,
        list(totals.values()),
    )


def changes_of(news: messages.TaskNews) -> TaskChanges:
    """Return the changes for readers, with times in seconds since 1970."""
    at = _since_1970
    return TaskChanges(
        news.seq,
        news.is_snapshot,
        [_task(row, news.node_id, at) for row in news.tasks],
        [task_id.hex() for task_id in news.removed],
        [
            {
                "actor_id": moment.actor_id.hex(),
                "class_name": moment.class_name,
                "name": moment.name,
                "state": moment.state,
                "at": at(moment.at),
                "pid": moment.pid,
                "worker_id": moment.process_id.hex(),
                "job_id": moment.job.hex(),
            }
            for moment in news.actors
        ],
        [
            {
                "pid": driver.pid,
                "worker_id": driver.process_id.hex(),
                "kind": wait.kind,
                "start": at(wait.start),
                "end": at(wait.end),
            }
            for driver in news.waits
            for wait in driver.waits
        ],
        dict(news.unlisted),
        [
            {
                "actor_id": each.actor_id.hex(),
                "finished": each.finished,
                "failed": each.failed,
                "cancelled": each.cancelled,
            }
            for each in news.totals
        ],
    )


def _since_1970(moment: float) -> float:
    """Return a time of the monotonic clock in seconds since 1970, 0 for "not yet"."""
    return round(moment + _SINCE_1970, 6) if moment else 0.0


def _task(row: messages.TaskRow, node_id: bytes, at: Any) -> dict[str, Any]:
    def ms(moment: float) -> int | None:
        return int(at(moment) * 1000) if moment else None

    return {
        "task_id": row.task_id.hex(),
        "attempt_number": row.attempt,
        "name": row.name,
        "state": row.state,
        "job_id": row.job.hex(),
        "actor_id": row.actor_id.hex() or None,
        "type": row.kind,
        "func_or_class_name": row.function,
        "parent_task_id": row.parent.hex(),
        "node_id": node_id.hex(),
        "worker_id": row.worker.hex() or None,
        "worker_pid": row.pid or None,
        "error_type": row.error_type or None,
        "language": "PYTHON",
        "creation_time_ms": ms(row.submitted),
        "start_time_ms": ms(row.started),
        "end_time_ms": ms(row.ended),
        "error_message": row.error or None,
        "waits_for": row.awaited or None,
        "cell": cell_of(row.origin),
        "cell_id": row.cell_id,
        "times": [at(row.submitted), at(row.arrived), at(row.started), at(row.ended)],
        "waits": [[wait.kind, at(wait.start), at(wait.end)] for wait in row.waits],
        "seq": row.seq,
    }


class LocalObserver(Observer):
    """See the base class."""

    def actors(self, timeout: float = ANSWER_S) -> list[dict[str, Any]]:
        """See the base class."""
        with suppress(NodeMissingError), ControlClient.find(timeout) as client:
            return [_actor(row) for row in _ask(client, "actors", timeout).actors]
        return []

    def tasks(self, timeout: float = ANSWER_S) -> TaskChanges:
        """See the base class."""
        with suppress(NodeMissingError), ControlClient.find(timeout) as client:
            return changes_of(follow(client, b"", 0, 0.0, timeout))
        return TaskChanges(0, True, [], [], [], [], {})

    def processes(self, timeout: float = ANSWER_S) -> list[dict[str, Any]]:
        """See the base class."""
        with suppress(NodeMissingError), ControlClient.find(timeout) as client:
            welcome = client.welcome
            assert isinstance(welcome, messages.Welcome)
            return [
                {
                    "worker_id": row.process_id.hex(),
                    "is_alive": row.is_ready,
                    "worker_type": "DRIVER" if row.role == "session" else "WORKER",
                    "exit_type": None,
                    "node_id": welcome.node_id.hex(),
                    "ip": "127.0.0.1",
                    "pid": row.pid,
                    "exit_detail": None,
                    "job_id": row.job_id.hex(),
                    "actor_id": row.actor_id.hex() or None,
                    "label": row.label,
                }
                for row in _ask(client, "processes", timeout).processes
            ]
        return []

    def objects(self, timeout: float) -> tuple[list[dict[str, Any]], list[str]]:
        """See the base class."""
        processes = [row for row in self.processes(timeout) if row["is_alive"]]
        if not processes:
            return [], []
        directory = discovery.node_directory()
        # Each thread waits for one process: those that do not answer cost the timeout once.
        with ThreadPoolExecutor(min(len(processes), ASKED_AT_ONCE)) as pool:
            found = list(pool.map(lambda row: _objects(directory, row, timeout), processes))
        return [row for rows, _ in found for row in rows], [gap for _, gap in found if gap]

    def groups(self, timeout: float) -> list[GroupFacts]:
        """See the base class."""
        with suppress(NodeMissingError), ControlClient.find(timeout) as client:
            return group_facts(_ask(client, "placement_groups", timeout))
        return []

    def follow(self) -> Following:
        """See the base class."""
        return LocalFollowing()

    def metrics(self) -> str:
        """See the base class."""
        with suppress(NodeMissingError), ControlClient.find() as client:
            return _ask(client, "metrics").facts["metrics"]
        return ""

    def stack(self, actor: Any, timeout: float) -> str:
        """See the base class."""
        rows, directory = _actor_rows()
        return stack_of_actor.of_actor(directory, _rows_of(actor, rows, "stack"), timeout)

    def cancel_call(self, task_id: str, force: bool, interrupt: bool, timeout: float) -> str:
        """See the base class."""

        def find(seconds: float) -> messages.TaskRow | None:
            with ControlClient.find(seconds) as client:
                rows = follow(client, b"", 0, 0.0).tasks
            return next((row for row in rows if row.task_id == call), None)

        call = bytes.fromhex(task_id)
        return cancelling.cancel_call(discovery.node_directory(), call, force, interrupt, timeout, find)

    def interrupt_actor(self, actor: Any, timeout: float) -> int:
        """See the base class."""
        with ControlClient.find(timeout) as client:
            rows = _rows_of(actor, _ask(client, "actors", timeout).actors, "interrupt_actor")
        return cancelling.interrupt_actor(discovery.node_directory(), rows, timeout)

    def profile(self, actor: Any, seconds: float, interval: float) -> tuple[str, int, list[tuple[list[str], int]]]:
        """See the base class."""
        rows, directory = _actor_rows()
        row = _rows_of(actor, rows, "profile")
        answer = stack_of_actor.profile_of_actor(directory, row, seconds, interval)
        return row[0].class_name, answer.samples, answer.stacks

    def kill_actor(self, actor: Any, timeout: float) -> None:
        """See the base class."""
        with ControlClient.find(timeout) as client:
            rows = _rows_of(actor, _ask(client, "actors", timeout).actors, "kill_actor")
            if not rows:
                raise ValueError("the node does not know this actor (any more)")
            _check(client.request(messages.KillActor(client.next_rid(), rows[0].actor_id, True), timeout))

    def inspect(self, actor: Any, timeout: float) -> dict[str, Any]:
        """See the base class."""
        rows, directory = _actor_rows()
        rows = _rows_of(actor, rows, "inspect_actor")
        return _inspection(stack_of_actor.inspection_of_actor(directory, rows, timeout))

    def node_status(self, with_actors: bool = True) -> dict[str, Any] | None:
        """See the base class."""
        what = "status" if with_actors else "load"
        try:
            with ControlClient.find() as client:
                return _status(_ask(client, what), _ask(client, "available_resources").amounts)
        except NodeMissingError:
            return None

    def nodes(self, everywhere: bool, timeout: float = ANSWER_S) -> list[dict[str, Any]]:
        """See the base class."""
        from nbactors.local.access.reports import report  # noqa: PLC0415 - it takes psutil, which no session needs

        own = discovery.node_directory()
        found = [report(node, timeout) for node in _nodes(str(discovery.ensure_directory()), everywhere)]
        return [_node_row(node, own) for node in found if node is not None]

    def stop_nodes(self, force: bool, everywhere: bool) -> list[dict[str, Any]]:
        """See the base class."""
        from nbactors.local.access import stopping  # noqa: PLC0415 - it takes psutil, which no session needs

        rows, problems = [], []
        for node in _nodes(discovery.located(), everywhere):
            try:
                was_killed = stopping.stop(node, force)
            except OSError as error:
                problems.append(str(error))
            else:
                rows.append(_stopped(node.pid, node.directory, node.version, node.protocol, was_killed))
        if problems:
            raise OSError("; ".join(problems))
        home = discovery.located_node()
        if not rows and stopping.stop_without_node(home):
            rows.append(_stopped(0, home, __version__, messages.PROTOCOL_VERSION, False))
        return rows

    def actor_logs(self, name: str) -> list[dict[str, Any]]:
        """See the base class."""
        with ControlClient.find() as client:
            answer = client.request(messages.FetchLog(client.next_rid(), name))
        _check(answer)
        assert isinstance(answer, messages.Listing)
        return [_actor(actor) for actor in answer.actors]

    def surroundings(self) -> dict[str, Any]:
        """See the base class."""
        from nbactors.local.surroundings import surroundings  # noqa: PLC0415 - only `nbactors doctor` needs it

        return surroundings()


def _objects(directory: str, process: dict[str, Any], timeout: float) -> tuple[list[dict[str, Any]], str]:
    """Return the rows of a process's objects, and a text about what is missing."""
    pid, question = process["pid"], messages.AskObjects(MOST_OBJECTS)
    try:
        answer = stack_of_actor.ask(directory, bytes.fromhex(process["worker_id"]), question, messages.Objects, timeout)
    except TimeoutError:
        return [], f"process {pid} has not answered within {timeout:g} seconds"
    except ConnectionError:  # it has ended since the node has told of it
        return [], ""
    rows = [
        {
            "object_id": row.object_id.hex(),
            "object_size": row.size,
            "task_status": row.status,
            "reference_type": row.reference,
            "call_site": "disabled",
            "type": process["worker_type"],
            "pid": pid,
            "ip": process["ip"],
            "worker_id": process["worker_id"],
            "owner_id": row.object_id[:PROCESS_ID_SIZE].hex(),
        }
        for row in answer.rows
    ]
    missing = answer.total - len(rows)
    return rows, f"process {pid} has {missing} more objects" if missing else ""


def _stopped(pid: int, directory: str, version: str, protocol: int, was_killed: bool) -> dict[str, Any]:
    return {
        "pid": pid,
        "directory": directory,
        "version": version,
        "protocol": protocol,
        "was_killed": was_killed,
    }


def _actor_rows() -> tuple[list[messages.ActorRow], str]:
    """Return the node's rows of actors, and its directory."""
    try:
        with ControlClient.find() as client:
            return _ask(client, "actors").actors, discovery.node_directory()
    except NodeMissingError:
        return [], ""


def _rows_of(actor: Any, rows: list[messages.ActorRow], verb: str) -> list[messages.ActorRow]:
    """Return the row of the actor that a user's argument stands for; none for the handle of an unknown actor.

    Raises:
        ValueError: No actor or several actors have this id or name.
        TypeError: It is neither a handle nor a text.
    """
    if isinstance(actor, str):
        found = [row for row in rows if actor in (row.actor_id.hex(), row.name)]
        found = [row for row in found if row.state != "DEAD"] or found[-1:]
        if len(found) > 1:
            ids = ", ".join(row.actor_id.hex() for row in found)
            raise ValueError(f"several actors are named {actor!r}; give one of their ids: {ids}")
        if not found:
            raise ValueError(f"there is no actor with the id or name {actor!r}; list_actors() tells which there are")
        return found
    link = getattr(actor, "_link", None)
    if link is None:
        raise TypeError(f"{verb}() takes a handle, an actor's id or its name. Got: {actor!r:.80}")
    return [row for row in rows if row.actor_id == link.actor_id]


def _inspection(told: messages.Inspection) -> dict[str, Any]:
    def call(row: messages.CallNow) -> dict[str, Any]:
        return {"task_id": row.task_id.hex(), "name": row.name, "group": row.group, "since": _since_1970(row.since)}

    return {
        "pid": told.pid,
        "worker_id": told.process_id.hex(),
        "cpu_s": told.cpu_s,
        "memory": told.memory,
        "at": _since_1970(told.at),
        "since": _since_1970(told.since),
        "groups": [
            {
                "name": group.name,
                "size": group.size,
                "running": [task_id.hex() for task_id in group.running],
                "queued": group.queued,
            }
            for group in told.groups
        ],
        "running": [{**call(row), "arguments": row.arguments, "paused": row.paused} for row in told.running],
        "queued": [call(row) for row in told.queued],
    }


def _nodes(directory: str, everywhere: bool) -> list[Sighting]:
    nodes = sightings.within(directory)
    if everywhere:
        nodes += [node for node in sightings.everywhere() if node not in nodes]
    return nodes


def _node_row(found: Report, own: str) -> dict[str, Any]:
    node = found.node
    return {
        "pid": node.pid,
        "directory": node.directory,
        "version": node.version,
        "protocol": node.protocol,
        "since": found.since,
        "state": found.state,
        "is_own": os.path.realpath(node.directory) == os.path.realpath(own),
        "status": _status(found.status, found.available) if found.status is not None else None,
        "processes": [{"pid": pid, "title": title} for pid, title in found.workers],
    }


def _status(status: messages.Listing, available: dict[str, float]) -> dict[str, Any]:
    facts = status.facts
    return {
        "pid": int(facts["pid"]),
        "directory": facts["directory"],
        "version": facts["version"],
        "node_id": facts["node_id"],
        "hostname": facts["hostname"],
        "sessions": int(facts["sessions"]),
        "workers": int(facts["workers"]),
        "resources": status.amounts,
        "available": available,
        "actors": [_actor(actor) for actor in status.actors],
        "object_stores": [_store(store) for store in status.stores],
        "bars": [_bar(bar) for bar in status.bars],
    }


def _bar(bar: messages.Bar) -> dict[str, Any]:
    """Return a progress bar that goes on."""
    state = bar.state()
    facts = ("pid", "description", "n", "total", "unit", "unit_scale", "rate", "elapsed", "postfix")
    return {
        "task_id": bar.call or None,
        "worker_id": state.source,
        "share": state.fraction,
        **{name: getattr(state, name) for name in facts},
    }


def _store(store: messages.StoreRow) -> dict[str, Any]:
    """Return what the object stores of a session take, or those of the node, whose job id and namespace are empty."""
    return {
        "job_id": store.job_id.hex(),
        "namespace": store.namespace,
        "pid": store.pid,
        "held": store.held,
        "spilled": store.spilled,
        "limit": store.limit,
        "silent": store.silent,
    }


def _actor(actor: messages.ActorRow) -> dict[str, Any]:
    paths = {"log_path": actor.log_path, "last_log_path": actor.last_log_path}
    shown = {key: path if os.path.exists(path) else "" for key, path in paths.items()}
    return {**actor.shown(), **shown, "worker_id": actor.process_id.hex() or None, "has_session": actor.has_session}


def _ask(client: ControlClient, what: str, timeout: float | None = None) -> messages.Listing:
    answer = client.request(messages.Query(client.next_rid(), what), timeout)
    _check(answer)
    assert isinstance(answer, messages.Listing)
    return answer


def _check(answer: messages.Control) -> None:
    if isinstance(answer, messages.Refused):
        raise ValueError(answer.text) if answer.kind == "value" else RuntimeError(answer.text)
