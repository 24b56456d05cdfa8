"""The WebSocket of the server extension: a page gets the state, then what changes, and its commands are carried out."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError
from tornado.websocket import WebSocketClientConnection

import nbactors as ray
from nbactors.jupyter.server.live import MOST_MESSAGE, MOST_PAGES
from nbactors.util import state

ANSWER_S = 10.0

Open = Callable[[], Awaitable["Page"]]


@ray.remote
class Simulation:
    def run(self) -> None:
        threading.Event().wait(60)


class Page:
    """A page that follows the state as the views do."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self.connection = connection
        self.state: dict[str, Any] = {}
        self.answers: dict[int, dict[str, Any]] = {}
        self.wholes = 0
        self.seqs: list[int] = []

    async def tell(self, **request: Any) -> None:
        await self.connection.write_message(json.dumps(request))

    async def hear(self) -> bool:
        """Take the next message; return False if the connection has ended."""
        text = await asyncio.wait_for(self.connection.read_message(), ANSWER_S)
        if text is None:
            return False
        message = json.loads(text)
        if message["kind"] == "answer":
            self.answers[message["number"]] = message
            return True
        self.seqs.append(message["seq"])
        if message["kind"] == "state":
            self.wholes += 1
            self.state = message["state"]
            return True
        rows = {**self.state["rows"], **message["rows"]}
        self.state = {**self.state, **message["fields"], "now": message["now"]}
        self.state["rows"] = {key: row for key, row in rows.items() if key not in message["gone"]}
        return True

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Take messages until a condition is true, and return its value."""
        while not condition():
            assert await self.hear(), "the connection has ended"
        return condition()

    async def do(self, number: int, **command: Any) -> dict[str, Any]:
        """Have a command carried out, and return the answer."""
        await self.tell(kind="do", number=number, **command)
        answer: dict[str, Any] = await self.until(lambda: self.answers.get(number))
        return answer

    def words(self) -> dict[str, str]:
        """Return what each actor does, by its name."""
        return {row["name"]: row["word"] for row in self.state.get("rows", {}).values()}


@pytest.fixture
def page(jp_ws_fetch: Any) -> Iterator[Open]:
    pages: list[Page] = []

    async def opened() -> Page:
        page = Page(await jp_ws_fetch("nbactors", "api", "live"))
        pages.append(page)
        await page.tell(kind="look", visible=True)
        return page

    yield opened
    for each in pages:
        each.connection.close()


async def test_a_page_gets_the_state_and_then_what_changes(session: None, page: Open) -> None:
    first = Simulation.options(name="first").remote()
    ray.get(first.__ray_ready__.remote())
    one = await page()
    await one.until(lambda: one.words().get("first") == "idle")
    assert one.wholes == 1
    second = Simulation.options(name="second", lifetime="detached").remote()
    ref = second.run.remote()
    await one.until(lambda: one.words().get("second") == "runs run()")
    assert one.wholes == 1
    assert one.seqs == sorted(set(one.seqs))
    rows = {row["name"]: row for row in one.state["rows"].values()}
    assert (rows["second"]["job"], rows["second"]["detached"]) == ("", True)
    assert one.state["jobs"][rows["first"]["job"]]["is_alive"]
    ray.kill(second)
    await one.until(lambda: one.words()["second"] != "runs run()")
    del ref, first


async def test_commands_are_carried_out_and_answered(session: None, page: Open) -> None:
    actor = Simulation.options(name="sim").remote()
    ray.get(actor.__ray_ready__.remote())
    ref = actor.run.remote()
    one = await page()
    row = await one.until(lambda: [row for row in one.state.get("rows", {}).values() if row["mark"] == "busy"])
    stack = await one.do(1, what="stack", actor=row[0]["id"])
    assert "in run" in stack["text"]
    assert (await one.do(2, what="interrupt", actor=row[0]["id"]))["text"] == "1 interrupted"
    with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
        ray.get(ref, timeout=10)
    ref = actor.run.remote()
    [call] = await one.until(
        lambda: (
            [row for row in state.list_tasks() if (row["state"], row["type"]) == ("RUNNING", "ACTOR_TASK")]
            or one.hear()
        )
    )
    assert (await one.do(3, what="cancel", call=call["task_id"]))["ok"]
    missing = await one.do(4, what="kill", actor="0" * 32)
    assert not missing["ok"]
    assert missing["text"]


async def test_a_page_that_does_not_look_gets_nothing_and_the_whole_state_when_it_looks_again(
    session: None, page: Open
) -> None:
    one, two = await page(), await page()
    await one.until(lambda: one.state)
    await two.until(lambda: two.state)
    await one.tell(kind="look", visible=False)
    actor = Simulation.options(name="sim").remote()
    await two.until(lambda: two.words().get("sim") == "idle")
    assert "sim" not in one.words()
    await one.tell(kind="look", visible=True)
    await one.until(lambda: one.words().get("sim") == "idle")
    assert one.wholes == 2
    del actor


async def test_when_the_node_goes_the_last_state_stays_and_the_next_node_is_found(
    own_directory: Path, page: Open
) -> None:
    ray.init(num_cpus=1)
    actor = Simulation.options(name="sim").remote()
    ray.get(actor.__ray_ready__.remote())
    one = await page()
    await one.until(lambda: one.words().get("sim") == "idle")
    ray.shutdown()
    state.stop_node(force=True)
    await one.until(lambda: not one.state["runs"])
    assert one.state["away_since"] > 0
    assert "sim" in one.words()
    ray.init(num_cpus=1)
    other = Simulation.options(name="next").remote()
    await one.until(lambda: one.state["runs"] and "next" in one.words())
    assert one.state["away_since"] == 0
    ray.shutdown()
    del other


@pytest.mark.parametrize(
    "message",
    [
        "no JSON",
        "[]",
        "{}",
        '{"kind": "run", "code": "1"}',
        '{"kind": "do", "number": 1, "what": "exec", "actor": "0"}',
        '{"kind": "do", "number": 1, "what": "kill", "actor": "../../x"}',
        '{"kind": "do", "number": 1, "what": "kill", "actor": null}',
        '{"kind": "do", "number": "x", "what": "interrupt_all"}',
        '{"kind": "do", "what": "interrupt_all"}',
        json.dumps({"kind": "look", "visible": True, "more": "x" * MOST_MESSAGE}),
        pytest.param("[" * 2000, id="nested"),
    ],
)
async def test_a_wrong_message_ends_the_connection(session: None, page: Open, message: str) -> None:
    one = await page()
    await one.connection.write_message(message)
    while await one.hear():
        pass
    assert one.connection.close_code in (1008, 1009)
    one.connection.close()


async def test_only_so_many_pages_are_served(session: None, jp_ws_fetch: Any) -> None:
    open_pages = [await jp_ws_fetch("nbactors", "api", "live") for _ in range(MOST_PAGES)]
    with pytest.raises(HTTPClientError, match="503"):
        await jp_ws_fetch("nbactors", "api", "live")
    open_pages[0].close()
    assert await asyncio.wait_for(open_pages[0].read_message(), ANSWER_S) is None
    open_pages[0] = await jp_ws_fetch("nbactors", "api", "live")
    for each in open_pages:
        each.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "token wrong"},
        {"Authorization": "", "Origin": "http://evil.example"},
    ],
)
async def test_who_has_no_token_gets_no_connection(session: None, jp_ws_fetch: Any, headers: dict[str, str]) -> None:
    with pytest.raises(HTTPClientError, match="403"):
        await jp_ws_fetch("nbactors", "api", "live", headers=headers)
