"""`LiveHandler`: the WebSocket of one page. Its language is that of the live panels, `labextension/src/protocol.ts`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from nbactors.jupyter.panels.source import Answer, Source
from nbactors.jupyter.server.authorized import ACTOR_ID, TASK_ID, check_access
from nbactors.jupyter.server.pages import LOOKED_S, Pages
from nbactors.jupyter.server.workshop import Workshop

MOST_PAGES = 50
MOST_MESSAGE = 4096
"""Most bytes of a message from a page."""

MOST_QUEUED = 20
"""Messages that wait for a slow page. When there are more, it gets the whole state instead."""

_COMMANDS = {
    "cancel": ("call", re.compile(TASK_ID)),
    "interrupt": ("actor", re.compile(ACTOR_ID)),
    "kill": ("actor", re.compile(ACTOR_ID)),
    "stack": ("actor", re.compile(ACTOR_ID)),
    "profile": ("actor", re.compile(ACTOR_ID)),
    "log": ("actor", re.compile(ACTOR_ID)),
    "interrupt_all": None,
}
"""The commands of a page, and the id that each needs."""

_READING = frozenset({"stack", "profile", "log"})


class LiveHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """One page. Methods: the server's thread, unless they say otherwise."""

    def initialize(self, pages: Pages, source: Source, workshop: Workshop, on_open: Callable[[], None]) -> None:
        """Take what the routes give."""
        self._pages = pages
        self._source = source
        self._workshop = workshop
        self._on_open = on_open
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MOST_QUEUED)
        self._sender: asyncio.Task[None] | None = None
        self.seen_at = -LOOKED_S

    def set_default_headers(self) -> None:
        """Undo those of `JupyterHandler`, which are for pages."""

    @property
    def max_message_size(self) -> int:
        """Most bytes of a message from the page."""
        return MOST_MESSAGE

    @ws_authenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Open the connection, if the user may."""
        await check_access(self, "read")
        if len(self._pages) >= MOST_PAGES:
            raise web.HTTPError(503, reason=f"Service Unavailable: {MOST_PAGES} pages are open")
        await super().get(*args, **kwargs)

    def open(self, *args: str, **kwargs: str) -> None:
        """Begin to send."""
        super().open(*args, **kwargs)
        self._sender = asyncio.ensure_future(self._send_all())
        self._pages.add(self)
        self._on_open()

    def on_close(self) -> None:
        """End the sending."""
        self._pages.remove(self)
        if self._sender is not None:
            self._sender.cancel()

    def send(self, message: dict[str, Any]) -> None:
        """See `pages.Page`. Any thread."""
        try:
            self._loop.call_soon_threadsafe(self._enqueue, message)
        except RuntimeError:  # the server has ended
            pass

    def _enqueue(self, message: dict[str, Any]) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            while not self._queue.empty():
                self._queue.get_nowait()
            self._pages.restart(self)

    async def _send_all(self) -> None:
        try:
            while True:
                await self.write_message(json.dumps(await self._queue.get()))
        except WebSocketClosedError:
            pass

    async def on_message(self, message: str | bytes) -> None:
        """Take a request of the page. A wrong one ends the connection."""
        try:
            request = json.loads(message)
            kind = request["kind"]
            if kind == "look":
                self._pages.look(self, bool(request["visible"]))
            elif kind == "do":
                number = int(request["number"])
                asyncio.ensure_future(self._do(number, _checked(request)))  # noqa: RUF006 - ends by itself
            elif kind != "hello":
                raise ValueError(f"no request of the kind {kind!r}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self.log.warning("nbactors: a page has sent a wrong message: %s", error)
            self.close(1008, "wrong message")

    async def _do(self, number: int, command: dict[str, Any]) -> None:
        answer = await self._answer(command)
        self.send({"kind": "answer", "number": number, "ok": answer.ok, "text": answer.text})
        self._pages.wake()

    async def _answer(self, command: dict[str, Any]) -> Answer:
        if not self._workshop.may_act():
            return Answer(False, "Too many commands. Wait a second.")
        try:
            await check_access(self, "read" if command["what"] in _READING else "execute")
            return await self._workshop.run(partial(self._source.do, command))
        except web.HTTPError as error:
            return Answer(False, error.reason or "This is not allowed.")
        except asyncio.QueueFull:
            return Answer(False, "Too many commands wait. Try again.")
        except (TimeoutError, asyncio.TimeoutError):
            return Answer(False, "The process has not answered in time.")
        except Exception as error:  # noqa: BLE001 - the page shows it
            return Answer(False, f"{type(error).__name__}: {error}")


def _checked(request: dict[str, Any]) -> dict[str, Any]:
    """Return the command of a request, with nothing in it that was not checked.

    Raises:
        ValueError, KeyError, TypeError: There is no such command, or its id is none.
    """
    what = request["what"]
    needed = _COMMANDS[what]
    if needed is None:
        return {"what": what}
    name, pattern = needed
    identifier = request[name]
    if not pattern.fullmatch(identifier):
        raise ValueError(f"{name} is no id")
    return {"what": what, name: identifier}
