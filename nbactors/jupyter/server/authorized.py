"""`AuthorizedHandler`: the base of all REST handlers. Nothing runs before the user is known and allowed to do it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import APIHandler
from tornado import web

from nbactors import exceptions
from nbactors.jupyter.server.workshop import Workshop

RESOURCE = "nbactors"
"""What an authorizer of the server is asked about."""

MOST_BODY = 4096
"""Most bytes of a request's body."""

ACTOR_ID = r"[0-9a-f]{32}"
TASK_ID = r"[0-9a-f]{48}"

_T = TypeVar("_T")


async def check_access(handler: Any, action: str) -> None:
    """Raise an error unless the user of a request is known, and may do this.

    Raises:
        web.HTTPError: 403.
    """
    user = handler.current_user
    if user is None:
        raise web.HTTPError(403, reason="Forbidden: log in to the Jupyter server, or send its token")
    if not await ensure_async(handler.authorizer.is_authorized(handler, user, action, RESOURCE)):
        raise web.HTTPError(403, reason=f"Forbidden: you may not {action} {RESOURCE} on this server")


@web.stream_request_body
class AuthorizedHandler(APIHandler):
    """A handler that checks each request, whatever its method, before any of the body is read.

    The server checks the Host, the Origin and the XSRF token in its own classes. Errors are JSON, with `message` and
    `reason`.
    """

    def initialize(self, workshop: Workshop) -> None:
        """Take what the routes give."""
        self.workshop = workshop
        self._body = bytearray()

    async def prepare(self) -> None:  # type: ignore[override]
        """See the class."""
        await super().prepare()
        reads = self.request.method in ("GET", "HEAD")
        if reads:  # the server checks the token of the other methods; a page of another site must not even have us work
            self.check_xsrf_cookie()
        await check_access(self, "read" if reads else "execute")
        length = self.request.headers.get("Content-Length", "0")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MOST_BODY:
            raise web.HTTPError(413, reason=f"Content Too Large: a body may have {MOST_BODY} bytes")
        if not reads and not self.workshop.may_act():
            raise web.HTTPError(429, reason="Too Many Requests: wait a second")

    def data_received(self, chunk: bytes) -> None:
        """Take a part of the body. No route needs one, so it is only counted."""
        self._body += chunk
        if len(self._body) > MOST_BODY:
            raise web.HTTPError(413, reason=f"Content Too Large: a body may have {MOST_BODY} bytes")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json")
        if status_code in (429, 503):
            self.set_header("Retry-After", "1")
        error = kwargs.get("exc_info", (None, None))[1]
        message = getattr(error, "log_message", None) or self._reason
        self.finish(json.dumps({"message": message, "reason": self._reason}))

    def answer(self, value: Any) -> None:
        """Answer with a value as JSON, which no cache keeps."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(json.dumps(value))

    async def run(self, function: Callable[[], _T]) -> _T:
        """Return the result of a function that blocks.

        Raises:
            web.HTTPError: 404 for what does not exist, 409 for what cannot be done now, 503 for a server that is busy
                with too many of these, 504 for an answer that takes too long.
        """
        try:
            return await self.workshop.run(function)
        except asyncio.QueueFull:
            raise web.HTTPError(503, reason="Service Unavailable: too many requests wait; try again") from None
        except (TimeoutError, asyncio.TimeoutError, exceptions.GetTimeoutError):
            raise web.HTTPError(504, reason="Gateway Timeout: the process has not answered in time") from None
        except ValueError as error:
            raise web.HTTPError(404, str(error), reason=first_line(error)) from None
        except (exceptions.RayError, exceptions.NodeMissingError, RuntimeError, OSError) as error:
            raise web.HTTPError(409, str(error), reason=first_line(error)) from None


def first_line(error: BaseException) -> str:
    """Return what an error says, as the reason of an HTTP answer: one line of printable ASCII."""
    line = str(error).strip().partition("\n")[0][:200]
    return re.sub(r"[^ -~]", "?", line) or type(error).__name__
