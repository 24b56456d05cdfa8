"""What a real kernel sends to the page for handles, references, generators, classes and tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

pytestmark = pytest.mark.slow

REPLY_S = 30

COUNTER = """%%actor --args "start=5" counter
class Counter:
    "Counts."
    def __init__(self, start):
        self.value = start
    def increment(self, by=1):
        self.value += by
        return self.value
    def each(self):
        yield 1
"""


@pytest.fixture(scope="module")
def client() -> Iterator[BlockingKernelClient]:
    manager = KernelManager()
    manager.start_kernel(env={**os.environ, "JPY_SESSION_NAME": "shown.ipynb"})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=REPLY_S)
        shown(client, "%load_ext nbactors\nimport nbactors as ray")
        shown(client, COUNTER)
        shown(client, "ref = counter.increment.remote(); ray.get(ref)")
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def shown(client: BlockingKernelClient, code: str) -> list[dict[str, str]]:
    """Run a cell; return the data of each output, by MIME type."""
    data = []

    def note(message: dict[str, Any]) -> None:
        if message["msg_type"] in ("display_data", "execute_result"):
            data.append(message["content"]["data"])

    reply = client.execute_interactive(code, output_hook=note, timeout=REPLY_S)
    assert reply["content"]["status"] == "ok", reply["content"]
    return data


@pytest.mark.parametrize(
    ("code", "text", "html"),
    [
        ("counter", "Actor(Counter, ", "<strong>Actor Counter</strong> &middot; alive, pid "),
        ("Counter", "ActorClass(Counter(start)): increment, each", "<code>increment(by=1)</code>"),
        ("counter.increment", "ActorMethod(Counter.increment(by=1))", "Method Counter.increment"),
        ("ref", "ObjectRef(", "<strong>ObjectRef</strong> &middot; ready"),
        ("counter.each.remote()", "ObjectRefGenerator(", "<strong>ObjectRefGenerator</strong>"),
        ("ray.remote(lambda x: x)", "RemoteFunction(", "Remote function"),
        ("%actors", "name", "<th scope="),
        ("ray.init(ignore_reinit_error=True)", "RayContext(", "<strong>Session</strong> &middot; open"),
    ],
)
def test_text_and_html_are_sent(client: BlockingKernelClient, code: str, text: str, html: str) -> None:
    (data,) = shown(client, code)
    assert set(data) == {"text/plain", "text/html"}
    assert data["text/plain"].startswith(text)
    assert html in data["text/html"]
    assert "<script" not in data["text/html"]


def test_a_list_of_references_is_shown_line_by_line(client: BlockingKernelClient) -> None:
    (data,) = shown(client, "refs = [counter.increment.remote() for _ in range(3)]; ray.get(refs)\nrefs")
    assert set(data) == {"text/plain"}
    lines = data["text/plain"].splitlines()
    assert len(lines) == 3
    assert all("): ready, " in line for line in lines)


def test_a_shown_handle_of_a_dead_actor_still_shows(client: BlockingKernelClient) -> None:
    shown(client, "doomed = Counter.remote(1); ray.get(doomed.increment.remote())")
    shown(client, "doomed")
    shown(client, "%kill doomed\nimport nbactors.testing.polling as p; p.eventually(lambda: 'dead' in repr(doomed))")
    (data,) = shown(client, "doomed")
    assert "): dead: it was killed" in data["text/plain"]
    assert "it was killed" in data["text/html"]


def test_the_magic_shows_the_actor_that_it_makes(client: BlockingKernelClient) -> None:
    (data,) = shown(client, "%%actor other\nclass Other:\n    pass")
    assert data["text/plain"].startswith("Actor(Other, ")
    assert "Actor Other" in data["text/html"]
    shown(client, "%kill other\ndel other")
