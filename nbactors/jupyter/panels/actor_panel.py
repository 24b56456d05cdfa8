"""The panel of one actor."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from nbactors import exceptions
from nbactors.jupyter.cell_output import cells
from nbactors.jupyter.panels import commands, states
from nbactors.jupyter.panels.feed import Feed
from nbactors.jupyter.panels.log_tail import LogTail
from nbactors.jupyter.panels.source import Answer
from nbactors.util import state

FIGURES = 30
"""Figures of CPU and memory that a panel shows, one a second."""

INSPECT_S = 1.0
"""Seconds between two questions to the worker while its calls do not change."""

ANSWER_S = 1.0
"""Seconds that the worker may take to answer. Its code may keep the GIL."""

DEAF_S = 2.0
"""Seconds between two questions to a worker that has not answered the last one."""

ASKED_AT_ONCE = 16
"""Workers that are asked at the same time, at most."""

_questions = ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="nbactors-panel-ask")
"""Asks the workers: one that keeps the GIL must not hold up the panels of the others."""


class ActorSource:
    """What the panel of one actor shows. It holds no handle: the panel does not keep the actor alive.

    Args:
        feed: Has the events.
        actor_id: The actor's id in hexadecimal digits.
        first: The actor's row as far as it is known, until the node has told it.
        job_id: The session's id. Only calls of this session name their cells.
    """

    table: str | None = None

    def __init__(self, feed: Feed, actor_id: str, first: dict[str, Any], job_id: str) -> None:
        self._feed = feed
        self._actor_id = actor_id
        self._row = first
        self._job_id = job_id
        self._log = LogTail()
        self._cpu: deque[float] = deque(maxlen=FIGURES)
        self._memory: deque[float] = deque(maxlen=FIGURES)
        self._inspection: dict[str, Any] | None = None
        self._inspected_at = -INSPECT_S
        self._inspected_calls: object = None
        self._question: Future[dict[str, Any] | Exception] | None = None
        self._is_due = False
        self._is_deaf = False
        self._told_log = ""
        self._quiet_until = 0.0
        self._is_stale = threading.Event()
        self._is_listed = False

    def state(self) -> dict[str, Any]:
        """See `source.Source`."""
        self._row = self._latest()
        self._take_answer()
        activity = self._feed.activity.of(self._actor_id)
        log = self._log.lines(self._log_path())
        return states.actor(
            self._row,
            activity,
            self._inspection,
            (self._cpu, self._memory),
            log,
            self._prompt,
            time.time(),
            is_deaf=self._is_deaf,
        )

    def _latest(self) -> dict[str, Any]:
        """Return the actor's row. The feed lists no dead actor of a session that has ended."""
        row = self._feed.actors.get(self._actor_id)
        if row is None and self._is_listed:
            self._is_listed = False
            row = state.get_actor(self._actor_id) or {**self._row, "state": "DEAD", "death_cause": ""}
        elif row is not None:
            self._is_listed = True
        return row or self._row

    def ask(self) -> Future[Any] | None:
        """Ask the worker what it does, once a second, and when its calls have changed. See `source.Asking`."""
        self._row = self._latest()
        self._take_answer()
        now = time.monotonic()
        if self._question is not None or not self._has_process():
            return self._question
        calls = tuple(self._feed.activity.of(self._actor_id).live)
        self._is_due = now - self._inspected_at >= INSPECT_S
        if now < self._quiet_until or not (self._is_due or self._is_stale.is_set() or calls != self._inspected_calls):
            return None
        self._is_stale.clear()
        self._inspected_calls = calls
        if self._is_due:
            self._inspected_at = now
        try:
            self._question = _questions.submit(_inspection, self._actor_id, self._is_due and not self._log_path())
        except RuntimeError:  # the kernel ends
            return None
        return self._question

    def _log_path(self) -> str:
        """Return the log that the panel shows, empty as long as there is none."""
        return self._row.get("log_path") or self._row.get("last_log_path") or self._told_log

    def _has_process(self) -> bool:
        """Return whether there is a process that answers, also while it runs the constructor."""
        return self._row["state"] != "DEAD" and bool(self._row["pid"])

    def _take_answer(self) -> None:
        """Take the worker's answer, if it is there. A worker that has not answered is asked again later."""
        question = self._question
        if question is not None and question.done():
            self._question = None
            before, answer = self._inspection, question.result()
            if isinstance(answer, dict):
                self._told_log = answer.pop("log_path", "") or self._told_log
            self._is_deaf = isinstance(answer, TimeoutError)
            self._quiet_until = time.monotonic() + DEAF_S if self._is_deaf else 0.0
            self._inspection = answer if isinstance(answer, dict) else None
            self._note(before, self._is_due)
        if not self._has_process():
            self._inspection = None
            self._is_deaf = False

    def _note(self, before: dict[str, Any] | None, is_due: bool) -> None:
        after = self._inspection
        if after is None or not is_due:
            return
        if before is not None and before["pid"] == after["pid"] and after["at"] > before["at"]:
            self._cpu.append(100 * (after["cpu_s"] - before["cpu_s"]) / (after["at"] - before["at"]))
        self._memory.append(after["memory"])

    def _prompt(self, row: dict[str, Any]) -> str:
        return cells.prompt(row["cell"]) if row["job_id"] == self._job_id else ""

    def do(self, command: dict[str, Any]) -> Answer:
        """See `source.Source`."""
        try:
            return commands.on_actor(command)
        finally:
            self._is_stale.set()


def _inspection(actor_id: str, looks_for_log: bool) -> dict[str, Any] | Exception:
    """Return what an actor's worker does, and as `log_path` its log if it has begun one; or why it does not tell."""
    try:
        told = state.inspect_actor(actor_id, ANSWER_S)
        row = state.get_actor(actor_id) if looks_for_log else None
        return {**told, "log_path": row["log_path"] if row is not None else ""}
    except (exceptions.RayError, ValueError, RuntimeError, OSError) as error:
        return error
