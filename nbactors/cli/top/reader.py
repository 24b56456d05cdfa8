"""`Reader`: the thread that follows the node, and finds the next one when it goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import psutil

from nbactors.cli.top.board import ActorLine, Board, CallLine
from nbactors.cli.top.ordering import Usage
from nbactors.util import state

PACE_S = 0.25
"""Seconds between two looks at the changes, at least."""

LOOK_S = 1.0
"""Seconds between two looks at the node and the processes."""

LIST_S = 5.0
"""Seconds after which the actors are listed again though no change of one was told."""


class View(NamedTuple):
    """What is known at one moment.

    Attributes:
        version: Changes with each change of the others.
        lines: The actors.
        tasks: How many calls of remote functions run or wait.
        node: As of `node_status(with_actors=False)`; the last one if the node is gone.
        lost_at: When the node was known last, in seconds since 1970; 0 while it answers.
        problem: Why it does not answer; empty if it is gone.
        usages: What the watched processes use, by their pids.
    """

    version: int
    lines: Sequence[ActorLine]
    tasks: int
    node: Mapping[str, Any]
    lost_at: float
    problem: str
    usages: Mapping[int, Usage]


class Reader:
    """Reads in a thread of its own. Methods: any thread, unless they say otherwise."""

    def __init__(self) -> None:
        self._board = Board()
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._view = View(0, [], 0, {}, 0.0, "", {})
        self._watched: Collection[int] = ()
        self._cpu: dict[int, tuple[float, float, psutil.Process]] = {}
        self._known_at = time.time()
        self.failure: Exception | None = None
        """The error that has ended the thread."""
        self.round_at = time.time()
        """When the present round has begun: long ago if the node does not answer."""
        self._listed_at = self._looked_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="nbactors-top", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, within a second or after the node's answer."""
        self._is_closed.set()
        self._thread.join(2 * LOOK_S)

    @property
    def view(self) -> View:
        """What is known now."""
        return self._view

    def watch(self, pids: Collection[int]) -> None:
        """Measure these processes from now on: those of the visible rows."""
        self._watched = pids

    def calls(self, actor_id: str) -> Sequence[CallLine]:
        """Return the open calls of an actor."""
        with self._lock:
            return self._board.calls(actor_id)

    def _run(self) -> None:
        following = state.follow()
        try:
            while not self._is_closed.is_set():
                began = time.monotonic()
                self._round(following)
                self._is_closed.wait(max(0.0, PACE_S - (time.monotonic() - began)))
        except Exception as error:  # noqa: BLE001 - the app ends with it; a view that stands still would deceive
            self.failure = error
        finally:
            following.close()

    def _round(self, following: state.Following) -> None:
        """Look once. The thread of the reader."""
        self.round_at = time.time()
        now = time.monotonic()
        news, problem = None, ""
        try:
            news = following.next(0.0)
            is_listed = news is not None and (news.is_snapshot or bool(news.actors))
            if is_listed or now - self._listed_at >= LIST_S:
                self._list(now)
        except (OSError, state.NodeMissingError, ValueError, RuntimeError) as error:
            problem = str(error)
        if news is not None:
            with self._lock:
                self._board.apply(news)
        usages = self._view.usages
        node, lost_at = self._view.node, self._view.lost_at
        has_looked = now - self._looked_at >= LOOK_S
        if has_looked or (lost_at and news is not None):
            self._looked_at = now
            node, lost_at, problem = self._look(problem)
            usages = self._measure(now)
        if news is not None or has_looked or problem != self._view.problem:
            with self._lock:
                lines, tasks = self._board.lines(), self._board.tasks
            self._view = View(self._view.version + 1, lines, tasks, node, lost_at, problem, usages)

    def _list(self, now: float) -> None:
        actors = state.list_actors(limit=state.MANY, timeout=LOOK_S)
        if not actors and state.node_status(with_actors=False) is None:
            return  # the last state stays, as long as there is no node
        self._listed_at = now
        with self._lock:
            self._board.list(actors)

    def _look(self, problem: str) -> tuple[Mapping[str, Any], float, str]:
        """Return the node's status, when it was lost, and why it does not answer."""
        try:
            status = state.node_status(with_actors=False)
        except OSError as error:
            return self._view.node, self._known_at, str(error)
        if status is None:
            self._listed_at = float("-inf")
            return self._view.node, self._known_at, ""
        self._known_at = time.time()
        return status, 0.0, problem

    def _measure(self, now: float) -> dict[int, Usage]:
        """Return what the watched processes use."""
        found, before = {}, self._cpu
        self._cpu = {}
        for pid in self._watched:
            earlier = before.get(pid)
            try:
                process = earlier[2] if earlier is not None else psutil.Process(pid)
                with process.oneshot():
                    times, memory = process.cpu_times(), process.memory_info().rss
            except psutil.Error:
                continue
            spent = times.user + times.system
            share = (spent - earlier[1]) / max(now - earlier[0], 1e-3) if earlier is not None else 0.0
            self._cpu[pid] = (now, spent, process)
            found[pid] = Usage(max(share, 0.0), memory)
        return found
