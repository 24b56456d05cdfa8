"""The REST routes: reading what runs, and cancelling, interrupting and ending it."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from nbactors.jupyter.panels import commands
from nbactors.jupyter.server.authorized import AuthorizedHandler
from nbactors.util import state
from nbactors.util.calls import cancel_call
from nbactors.util.timeline import timeline
from nbactors.version import __version__


class StatusHandler(AuthorizedHandler):
    """`GET status`: this package's version, and the state of the node."""

    async def get(self) -> None:
        """Answer with the versions, and the node's status, null if none runs."""
        node = await self.run(state.node_status)
        if node is not None:
            node = {key: value for key, value in node.items() if key != "actors"}
        self.answer({"version": __version__, "node": node})


class RowsHandler(AuthorizedHandler):
    """`GET actors` and `GET calls`."""

    async def get(self, what: str) -> None:
        """Answer with a row for each actor, or for each known call."""
        if what == "actors":
            rows = await self.run(partial(state.list_actors, limit=state.MANY, detail=True))
        else:
            rows = await self.run(partial(state.list_tasks, limit=state.MANY, detail=True))
        self.answer([dict(row) for row in rows])


class ActorHandler(AuthorizedHandler):
    """`GET actors/ID/stack`, `log` and `profile`: what an actor does, as text."""

    async def get(self, actor: str, what: str) -> None:
        """Answer with the text."""
        self.answer(await _done(self, {"what": what, "actor": actor}))


class ActorActionHandler(AuthorizedHandler):
    """`POST actors/ID/interrupt` and `kill`."""

    async def post(self, actor: str, what: str) -> None:
        """Do it, and answer with what was done."""
        self.answer(await _done(self, {"what": what, "actor": actor}))


class CallHandler(AuthorizedHandler):
    """`POST calls/ID/cancel`."""

    async def post(self, call: str) -> None:
        """Cancel the call; a synchronous method is interrupted."""
        outcome = await self.run(partial(cancel_call, call, interrupt=True))
        self.answer({"ok": True, "text": outcome})


class TimelineHandler(AuthorizedHandler):
    """`GET timeline`: the calls of all sessions, in the format of Perfetto and of Chrome's tracing."""

    async def get(self) -> None:
        """Answer with the events."""
        self.answer(await self.run(_timeline))


class TutorialHandler(AuthorizedHandler):
    """`GET tutorial`: the first notebook, for the launcher, which saves a copy of it."""

    async def get(self) -> None:
        """Answer with the notebook."""
        self.answer(json.loads(_tutorial().read_text(encoding="utf-8")))


def _tutorial() -> Path:
    """Return the path of the notebook: in the installed package, or in the checkout that is installed as editable."""
    package = Path(__file__).parents[2]
    places = [package / "jupyter" / "tutorials", package.parent / "notebooks"]
    return next(path for place in places if (path := place / "01-actors.ipynb").exists())


class MissingHandler(AuthorizedHandler):
    """Every other route: not found, also for those who may not know what there is."""

    async def get(self) -> None:
        """Answer that there is no such route."""
        self.set_status(404)
        self.finish(json.dumps({"message": "There is no such route. See openapi.json.", "reason": "Not Found"}))

    post = put = patch = delete = head = get


async def _done(handler: AuthorizedHandler, command: dict[str, Any]) -> dict[str, Any]:
    answer = await handler.run(partial(commands.on_actor, command))
    return {"ok": answer.ok, "text": answer.text}


def _timeline() -> Any:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "timeline.json"
        timeline(str(path))
        return json.loads(path.read_text())
