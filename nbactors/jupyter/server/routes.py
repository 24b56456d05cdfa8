"""The routes of the extension, and what their handlers share."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jupyter_server.utils import url_path_join

from nbactors.jupyter.panels.feed import Feed
from nbactors.jupyter.server import rest
from nbactors.jupyter.server.authorized import ACTOR_ID, TASK_ID, AuthorizedHandler
from nbactors.jupyter.server.jobs import Jobs
from nbactors.jupyter.server.kernel_paths import KernelPaths
from nbactors.jupyter.server.live import LiveHandler
from nbactors.jupyter.server.node_source import NodeSource
from nbactors.jupyter.server.pages import Pages
from nbactors.jupyter.server.workshop import Workshop

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

PREFIX = "nbactors/api"


class OpenApiHandler(AuthorizedHandler):
    """`GET openapi.json`: the routes, for programs."""

    async def get(self) -> None:
        """Answer with the document."""
        self.set_header("Content-Type", "application/json")
        self.finish(files("nbactors.jupyter.server").joinpath("openapi.json").read_text())


def add_routes(server: ServerApp) -> None:
    """Add the routes to a server that starts. On its main thread."""
    workshop = Workshop()
    feed = Feed(lambda: False)
    kernels = KernelPaths(server.session_manager, lambda: len(pages) > 0)
    source = NodeSource(feed, Jobs(lambda: kernels.paths))
    pages = Pages(source, feed.touch)
    feed.add(pages)

    own: dict[str, Any] = {"workshop": workshop}
    routes: list[tuple[str, Any, dict[str, Any]]] = [
        ("live", LiveHandler, {"pages": pages, "source": source, "on_open": kernels.watch, **own}),
        ("status", rest.StatusHandler, own),
        ("(actors|calls)", rest.RowsHandler, own),
        (f"actors/({ACTOR_ID})/(stack|log|profile)", rest.ActorHandler, own),
        (f"actors/({ACTOR_ID})/(interrupt|kill)", rest.ActorActionHandler, own),
        (f"calls/({TASK_ID})/cancel", rest.CallHandler, own),
        ("timeline", rest.TimelineHandler, own),
        ("tutorial", rest.TutorialHandler, own),
        ("openapi.json", OpenApiHandler, own),
        (".*", rest.MissingHandler, own),
    ]
    server.web_app.settings["nbactors_workshop"] = workshop  # whoever ends the server in a process of its own closes it
    base = server.web_app.settings["base_url"]
    server.web_app.add_handlers(  # type: ignore[no-untyped-call]
        ".*$", [(url_path_join(base, PREFIX, path), handler, shared) for path, handler, shared in routes]
    )
