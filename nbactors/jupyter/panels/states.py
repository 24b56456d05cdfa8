"""The states that panels show, as plain dicts. `labextension/src/protocol.ts` has their types. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nbactors.jupyter.panels.activity import ActorActivity, error_line, first_line, is_running

MOST_CALLS = 100
"""The most calls that an actor's panel lists."""

_ASKED = (
    "it was killed by",
    "all handles",
    "the session that",
    "the node was stopped",
    "it has called",
    "it was ended",
)
"""How the causes of an actor's end begin that its user has asked for."""


def title(row: dict[str, Any]) -> str:
    """Return the name of an actor, the name of its class and the beginning of its id if it has none."""
    return row["name"] or f"{row['class_name']} {row['actor_id'][:6]}"


def mark_and_word(row: dict[str, Any], activity: ActorActivity, is_paused: bool = False) -> tuple[str, str]:
    """Return an actor's state as a mark, and as words for the reader."""
    state = row["state"]
    if state == "DEAD":
        cause = first_line(row["death_cause"])
        return ("ended", cause or "ended") if not cause or cause.startswith(_ASKED) else ("failed", cause)
    if state == "RESTARTING":
        return "restarting", "restarting"
    if state != "ALIVE":
        creation = activity.creation
        awaited = creation["waits_for"] if creation is not None else None
        if awaited:
            return "waiting", f"waits for {awaited}"
        return "starting", "runs its constructor" if _is_constructed(activity) else "starting"
    running = activity.running
    if is_paused:
        return "paused", "paused in the debugger"
    if running:
        more = f" and {len(running) - 1} more" if len(running) > 1 else ""
        return "busy", f"runs {_method(running[0])}{more}"
    return "idle", "idle"


def since(row: dict[str, Any], activity: ActorActivity) -> float:
    """Return the time at which what an actor does now has begun, in seconds since 1970; 0 if it does nothing."""
    running = activity.running
    if running:
        return float(running[0]["times"][2])
    if row["state"] != "ALIVE" and row["state"] != "DEAD" and activity.creation is not None:
        times = activity.creation["times"]
        return float(times[2] or times[0])
    return 0.0


def _is_constructed(activity: ActorActivity) -> bool:
    """Return whether the constructor runs, as far as the events tell."""
    return activity.creation is not None and is_running(activity.creation)


def actor(
    row: dict[str, Any],
    activity: ActorActivity,
    inspection: dict[str, Any] | None,
    figures: tuple[Sequence[float], Sequence[float]],
    log: Sequence[str],
    prompt: Callable[[dict[str, Any]], str],
    now: float,
    *,
    is_deaf: bool = False,
) -> dict[str, Any]:
    """Return the state of an actor's panel.

    Args:
        row: The actor, as of `nbactors.util.state.list_actors(detail=True)`.
        activity: Its calls.
        inspection: The worker's answer, as of `nbactors.util.state.inspect_actor`; None if there was none.
        figures: CPU in per cent of a core and memory in bytes, one figure a second.
        log: The last lines of its log.
        prompt: Returns the cell that has made a call, such as "In[3]", from the call's row.
        now: The time, in seconds since 1970.
        is_deaf: Whether the worker has not answered in time.
    """
    calls, groups, is_paused = _calls(activity, inspection, prompt)
    if row["state"] not in ("ALIVE", "DEAD"):
        calls = _with_constructor(calls, activity, prompt)
    mark, word = mark_and_word(row, activity, is_paused)
    if mark == "idle" and any(call["mark"] == "busy" for call in calls):  # the worker is the first to know
        mark, word = "busy", f"runs {calls[0]['name'].rpartition('.')[2]}"
    if is_deaf:
        mark, word = "busy", "does not answer: its code keeps the GIL, or it is stopped"
    error = activity.error
    return {
        "view": "actor",
        "now": now,
        "id": row["actor_id"],
        "name": title(row),
        "cls": row["class_name"],
        "detached": row["is_detached"],
        "pid": row["pid"] if row["state"] != "DEAD" else 0,
        "since": inspection["since"] if inspection is not None else 0,
        "restarts": row["num_restarts"],
        "mark": mark,
        "word": word if mark != "failed" else "failed",
        "cause": (row["death_cause"] or "").strip() if mark == "failed" else "",
        "groups": groups,
        "calls": calls[:MOST_CALLS],
        "queued": sum(call["mark"] in ("queued", "waiting") for call in calls),
        "done": activity.done,
        "failed": activity.failed,
        "cpu": [round(figure, 1) for figure in figures[0]],
        "memory": [int(figure) for figure in figures[1]],
        "log": list(log),
        "error": None
        if error is None
        else {
            "what": error_line(error),
            "text": (error["error_message"] or "").strip(),
            "call": error["name"],
        },
    }


def _calls(
    activity: ActorActivity, inspection: dict[str, Any] | None, prompt: Callable[[dict[str, Any]], str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], bool]:
    """Return the calls, those that run first, the concurrency groups, and whether a call stands in the debugger.

    The worker knows what runs now; the events also have the calls that wait in their callers, half a second later.
    """
    rows = activity.live
    if inspection is None:
        running = [_call(row, "busy", "", row["times"][2], prompt) for row in activity.running]
        return running + [_waiting(row, prompt) for row in activity.queued], [], False
    found: dict[str, dict[str, Any]] = {}
    for call in inspection["running"]:
        mark = "paused" if call.get("paused") else "busy"
        word = "paused in the debugger" if mark == "paused" else "runs"
        row = rows.get(call["task_id"])
        found[call["task_id"]] = {
            "id": call["task_id"],
            "name": call["name"],
            "group": call["group"],
            "mark": mark,
            "word": word,
            "since": call["since"],
            "args": [list(pair) for pair in call["arguments"]],
            "creation": False,
            "cell": prompt(row) if row is not None else "",
        }
    for call in inspection["queued"]:
        row = rows.get(call["task_id"])
        found[call["task_id"]] = {
            "id": call["task_id"],
            "name": call["name"],
            "group": call["group"],
            "mark": "queued",
            "word": "queued",
            "since": call["since"],
            "args": None,
            "creation": False,
            "cell": prompt(row) if row is not None else "",
        }
    # What the events call running may have ended by now; what waits in a caller only they know.
    for row in activity.queued:
        if row["task_id"] not in found and not row["times"][1]:
            found[row["task_id"]] = _waiting(row, prompt)
    groups = [
        {"name": group["name"], "size": group["size"], "running": group["running"], "queued": group["queued"]}
        for group in inspection["groups"]
    ]
    return list(found.values()), groups, any(call["mark"] == "paused" for call in found.values())


def _with_constructor(
    calls: list[dict[str, Any]], activity: ActorActivity, prompt: Callable[[dict[str, Any]], str]
) -> list[dict[str, Any]]:
    """Return the calls of an actor that is not up yet: what runs in it is its constructor."""
    if not any(call["mark"] in ("busy", "paused") for call in calls):
        if activity.creation is None or not _is_constructed(activity):
            return calls
        row = activity.creation
        calls = [_call(row, "busy", "", row["times"][2], prompt), *calls]
    return [{**call, "creation": call["mark"] in ("busy", "paused")} for call in calls]


def _call(
    row: dict[str, Any], mark: str, word: str, since: float, prompt: Callable[[dict[str, Any]], str]
) -> dict[str, Any]:
    return {
        "id": row["task_id"],
        "name": row["name"],
        "group": "",
        "mark": mark,
        "word": word,
        "since": since,
        "args": None,
        "creation": False,
        "cell": prompt(row),
    }


def _waiting(row: dict[str, Any], prompt: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    awaited = row["waits_for"]
    word = f"waits for {awaited}" if awaited else "queued"
    return _call(row, "waiting" if awaited else "queued", word, row["times"][0], prompt)


def _method(row: dict[str, Any]) -> str:
    return f"{row['name'].rpartition('.')[2]}()"


def session_row(row: dict[str, Any], activity: ActorActivity, memory: int) -> dict[str, Any]:
    """Return the row of an actor in the session's panel. `memory` is in bytes, 0 if it is not known."""
    mark, word = mark_and_word(row, activity)
    return {
        "id": row["actor_id"],
        "name": title(row),
        "cls": row["class_name"],
        "mark": mark,
        "word": word,
        "since": since(row, activity),
        "memory": memory,
        "failed": activity.failed,
        "detached": row["is_detached"],
    }


def difference(old: dict[str, Any], new: dict[str, Any], table: str | None = None) -> dict[str, Any] | None:
    """Return what turns one state into another, as a message to the views; None if nothing has changed but the time.

    Args:
        old: The state that the views have.
        new: The state that they are to have.
        table: The field whose rows are compared one by one.
    """
    fields = {key: value for key, value in new.items() if key not in ("now", table) and old.get(key) != value}
    changes: dict[str, Any] = {"kind": "changes", "now": new["now"], "fields": fields}
    if table is not None:
        before, after = old.get(table, {}), new[table]
        changes["rows"] = {key: row for key, row in after.items() if before.get(key) != row}
        changes["gone"] = [key for key in before if key not in after]
        if not fields and not changes["rows"] and not changes["gone"]:
            return None
    elif not fields:
        return None
    return changes
