"""The REST routes of the server extension: what they answer, and whom they refuse."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.auth import AllowAllAuthorizer, Authorizer
from jupyter_server.serverapp import ServerApp
from tornado.httpclient import HTTPClientError

import nbactors as ray
from nbactors.jupyter.server.authorized import MOST_BODY, AuthorizedHandler
from nbactors.jupyter.server.live import LiveHandler
from nbactors.jupyter.server.workshop import ACTIONS
from nbactors.testing import eventually
from nbactors.util import state

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NO_ID = "0" * 32
RUNNING = ("RUNNING", "ACTOR_TASK")

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@ray.remote
class Simulation:
    def __init__(self) -> None:
        self.hits = 0

    def run(self, mark: str) -> None:
        try:
            threading.Event().wait(60)
        finally:
            Path(mark).touch()

    def hang(self) -> None:
        """Keep the lock of the interpreter: native code that does not end soon."""
        import re

        re.match(r"(a+)+$", "a" * 34 + "b")


def id_of(name: str) -> str:
    [row] = [row for row in state.list_actors() if row["name"] == name]
    return str(row["actor_id"])


def routes(server: ServerApp) -> list[tuple[str, Any]]:
    """Return the pattern and the handler of each route of the extension."""
    found = []
    for host in server.web_app.default_router.rules:
        for rule in getattr(host.target, "rules", ()):
            pattern = getattr(getattr(rule.matcher, "regex", None), "pattern", "")
            if "nbactors/api" in pattern:
                found.append((pattern, rule.target))
    return found


async def test_the_actors_and_calls_are_told_with_the_keys_of_the_listings(session: None, ask: Ask) -> None:
    actor = Simulation.options(name="sim").remote()
    ray.get(actor.__ray_ready__.remote())
    status, rows = await ask("actors")
    assert status == 200
    assert [row["name"] for row in rows if row["state"] == "ALIVE"] == ["sim"]
    status, calls = await ask("calls")
    assert status == 200
    assert isinstance(calls, list)
    status, about = await ask("status")
    assert status == 200
    assert about["node"]["resources"]["CPU"] >= 1
    del actor


async def test_interrupt_kill_and_stack_do_what_they_say(session: None, ask: Ask, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    actor = Simulation.options(name="sim").remote()
    ray.get(actor.__ray_ready__.remote())
    ref = actor.run.remote(str(mark))
    actor_id = id_of("sim")
    eventually(lambda: "run" in state.stack(actor_id))
    status, answer = await ask("actors", actor_id, "stack")
    assert (status, "in run" in answer["text"]) == (200, True)
    status, answer = await ask("actors", actor_id, "interrupt", method="POST")
    assert (status, answer) == (200, {"ok": True, "text": "1 interrupted"})
    with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
        ray.get(ref, timeout=10)
    assert mark.exists()
    status, answer = await ask("actors", actor_id, "kill", method="POST")
    assert (status, answer["ok"]) == (200, True)
    with pytest.raises(ray.exceptions.RayActorError, match="killed"):
        ray.get(actor.__ray_ready__.remote(), timeout=10)


async def test_a_call_is_cancelled_by_its_id(session: None, ask: Ask, tmp_path: Path) -> None:
    actor = Simulation.options(name="sim").remote()
    ref = actor.run.remote(str(tmp_path / "mark"))
    [call] = eventually(lambda: [row for row in state.list_tasks() if (row["state"], row["type"]) == RUNNING])
    status, answer = await ask("calls", call["task_id"], "cancel", method="POST")
    assert (status, answer["ok"]) == (200, True)
    with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
        ray.get(ref, timeout=10)


async def test_a_hung_actor_keeps_no_other_request_waiting(session: None, ask: Ask) -> None:
    actor = Simulation.options(name="sim").remote()
    ray.get(actor.__ray_ready__.remote())
    ref = actor.hang.remote()
    actor_id = id_of("sim")
    stacks = [asyncio.ensure_future(ask("actors", actor_id, "profile")) for _ in range(3)]
    status, _ = await asyncio.wait_for(ask("status"), 5)
    assert status == 200
    assert not all(stack.done() for stack in stacks)
    ray.kill(actor)
    for stack in stacks:
        await stack
    with pytest.raises(ray.exceptions.RayActorError, match="killed"):
        ray.get(ref, timeout=10)


async def test_looking_starts_no_node(own_directory: Path, ask: Ask) -> None:
    assert await ask("actors") == (200, [])
    status, about = await ask("status")
    assert (status, about["node"]) == (200, None)
    assert not (own_directory / "node.sock").exists()
    for path, method in (
        (("actors", NO_ID, "stack"), "GET"),
        (("actors", NO_ID, "kill"), "POST"),
        (("timeline",), "GET"),
    ):
        status, _ = await ask(*path, method=method)
        assert status in (200, 404, 409), path
    assert state.node_status() is None


async def test_the_tutorial_is_a_notebook(ask: Ask) -> None:
    status, notebook = await ask("tutorial")
    assert status == 200
    assert notebook["cells"][0]["cell_type"] == "markdown"


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        (("actors", NO_ID, "stack"), "GET", 404),
        (("actors", NO_ID, "interrupt"), "POST", 404),
        (("calls", "0" * 48, "cancel"), "POST", 404),
        (("actors", "0" * 31, "stack"), "GET", 404),
        (("actors", NO_ID + "0", "stack"), "GET", 404),
        (("actors", "../../status", "stack"), "GET", 404),
        (("actors", NO_ID, "profile;ls"), "GET", 404),
        (("nothing",), "GET", 404),
        (("actors",), "POST", 405),
        (("actors", NO_ID, "interrupt"), "GET", 405),
    ],
)
async def test_what_does_not_exist_is_told_as_json(
    session: None, ask: Ask, path: tuple[str, ...], method: str, expected: int
) -> None:
    status, answer = await ask(*path, method=method)
    assert status == expected
    assert set(answer) == {"message", "reason"}
    assert answer["message"]


async def test_every_method_of_every_route_refuses_who_is_not_logged_in(
    jp_serverapp: ServerApp, jp_fetch: Any, ask: Ask
) -> None:
    found = routes(jp_serverapp)
    assert len(found) == 10
    assert all(issubclass(handler, (AuthorizedHandler, LiveHandler)) for _, handler in found)
    paths = [
        ("live",),
        ("status",),
        ("actors",),
        ("actors", NO_ID, "stack"),
        ("actors", NO_ID, "kill"),
        ("calls", "0" * 48, "cancel"),
        ("timeline",),
        ("tutorial",),
        ("openapi.json",),
        ("anything",),
    ]
    for path in paths:
        for method in METHODS:
            for headers in ({"Authorization": "token wrong"}, {"Authorization": ""}):
                status, _ = await ask(*path, method=method, headers=headers)
                assert status in (403, 405), f"{method} {path} answers {status}"
                assert status == 403 or path == ("live",)


class Reader(Authorizer):
    """Lets users read."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return action == "read" or resource != "nbactors"


async def test_the_authorizer_decides_what_a_user_may_do(
    jp_serverapp: ServerApp, session: None, ask: Ask, tmp_path: Path
) -> None:
    assert isinstance(jp_serverapp.authorizer, AllowAllAuthorizer)
    jp_serverapp.web_app.settings["authorizer"] = Reader(parent=jp_serverapp)
    actor = Simulation.options(name="sim").remote()
    ray.get(actor.__ray_ready__.remote())
    assert (await ask("actors"))[0] == 200
    status, answer = await ask("actors", id_of("sim"), "kill", method="POST")
    assert status == 403
    assert "execute" in answer["message"] + answer["reason"]
    assert ray.get(actor.__ray_ready__.remote(), timeout=10)


async def test_a_body_that_is_too_large_is_refused(session: None, ask: Ask) -> None:
    status, answer = await ask("actors", NO_ID, "interrupt", method="POST", body="x" * (MOST_BODY + 1))
    assert status == 413
    assert str(MOST_BODY) in answer["reason"]


async def test_a_flood_of_actions_is_refused_and_reading_goes_on(session: None, ask: Ask) -> None:
    began = time.monotonic()
    answers = await asyncio.gather(*(ask("actors", NO_ID, "interrupt", method="POST") for _ in range(300)))
    passed = [status for status, _ in answers if status != 429]
    assert len(passed) <= ACTIONS * (1 + time.monotonic() - began) + 1
    assert len(passed) < len(answers)
    assert (await ask("status"))[0] == 200


async def test_a_request_of_another_site_is_refused(session: None, jp_fetch: Any) -> None:
    with pytest.raises(HTTPClientError, match=r"40[34]"):
        await jp_fetch("nbactors", "api", "actors", headers={"Origin": "http://evil.example", "Authorization": ""})


async def test_the_document_names_each_route_and_its_method(jp_serverapp: ServerApp, ask: Ask) -> None:
    status, document = await ask("openapi.json")
    assert status == 200
    assert document == json.loads(files("nbactors.jupyter.server").joinpath("openapi.json").read_text())
    told = {
        (path, method.upper())
        for path, methods in document["paths"].items()
        for method in methods
        if method != "parameters"
    }
    served = set()
    for pattern, handler in routes(jp_serverapp):
        route = pattern.rpartition("nbactors/api/")[2].rstrip("$")
        for each in expand(route):
            for method in ("get", "post"):
                if each and getattr(handler, method, None) is not getattr(AuthorizedHandler, method, None):
                    served.add(("/" + each, method.upper()))
    assert told == served


def expand(route: str) -> list[str]:
    """Return the paths of a route, with the names of ids in braces; none for the route of what is missing."""
    if route == ".*":
        return []
    from nbactors.jupyter.server.authorized import ACTOR_ID, TASK_ID

    route = route.replace(f"({ACTOR_ID})", "{actor_id}").replace(f"({TASK_ID})", "{task_id}")
    if "(" not in route:
        return [route]
    head, _, rest = route.partition("(")
    options, _, tail = rest.partition(")")
    return [head + option + tail for option in options.split("|")]
