"""The extension of the Jupyter server: the actors of the user's node, for JupyterLab's side panel and for programs.

    node's events ──► feed (one thread) ──► NodeSource ──► Pages ──► a WebSocket for each page
    pool of threads ◄── REST and commands of pages

- It shows all kernels' actors and the detached ones, and needs no kernel: it asks the node and the workers itself. It
  runs as the user of the server, who also owns the kernels and the node. It starts no node.
- Every handler comes from `AuthorizedHandler` or `LiveHandler`, which ask the server's identity provider and its
  authorizer before any method runs. Reading is the action "read", everything that changes something "execute", of the
  resource "nbactors".
- No request names code, a path or an address: only ids of actors and calls, which are checked first.
- What blocks runs on a small pool of threads, so a hung actor or node keeps no other request waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "nbactors.jupyter.server"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Add the routes to a server that starts. On its main thread."""
    from nbactors.jupyter.server.routes import add_routes  # noqa: PLC0415 - the list of extensions needs no handlers

    add_routes(server)
