"""A Jupyter server with the extension, in the test's process, and a session on the same node."""

from __future__ import annotations

import json
import resource
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp
from tornado.httpclient import HTTPResponse

import nbactors as ray

_limits = resource.getrlimit(resource.RLIMIT_NOFILE)
from pytest_jupyter.jupyter_server import *  # noqa: E402, F403 - its fixtures and hooks, for this directory alone

# The import has changed the limit of the whole run.
resource.setrlimit(resource.RLIMIT_NOFILE, _limits)

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture(autouse=True)
def _nothing_left_by_the_test() -> None:
    """Looks for nothing: the server and its client keep threads and descriptors until the end of the module."""


@pytest.fixture(autouse=True)
def _nothing_left_by_the_module() -> None:
    """As above."""


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {"ServerApp": {"jpserver_extensions": {"nbactors.jupyter.server": True}}}


@pytest.fixture(autouse=True)
def _the_threads_end(jp_serverapp: ServerApp) -> Iterator[None]:
    yield
    jp_serverapp.web_app.settings["nbactors_workshop"].close()


@pytest.fixture
def session() -> Iterator[None]:
    ray.init(num_cpus=2, namespace="server-tests")
    yield
    ray.shutdown()


@pytest.fixture
def ask(jp_fetch: Callable[..., Awaitable[HTTPResponse]]) -> Ask:
    """Sends a request as a logged-in user; returns the status and the answer."""

    async def asked(*path: str, **more: Any) -> tuple[int, Any]:
        if more.get("method", "GET") not in ("GET", "HEAD", "DELETE", "OPTIONS"):
            more.setdefault("body", "")
        more.setdefault("allow_nonstandard_methods", True)
        response = await jp_fetch("nbactors", "api", *path, raise_error=False, **more)
        text = response.body.decode()
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return response.code, json.loads(text) if is_json and text else text

    return asked
