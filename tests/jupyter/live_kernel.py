"""A real kernel whose messages are kept by the cell under which they show."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable
from time import monotonic
from typing import Any

from jupyter_client.manager import KernelManager

from nbactors.testing.polling import eventually

REPLY_S = 30
WIDGET = "application/vnd.jupyter.widget-view+json"


class LiveKernel:
    """A kernel as a notebook has it.

    Attributes:
        messages: All that came on iopub, in order, as (cell, type, content); cell is what `start` returned.
    """

    def __init__(self, *blocked: str) -> None:
        """Start it; modules in `blocked` cannot be imported there."""
        self.messages: list[tuple[str, str, dict[str, Any]]] = []
        self._manager = KernelManager()
        self._manager.start_kernel(env=dict(os.environ))
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=REPLY_S)
        names = ", ".join(f"{name!r}: None" for name in blocked)
        self.run(f"import sys; sys.modules.update({{{names}}})")
        self.run("%load_ext nbactors\nimport time\nimport nbactors as ray")

    def open(self, setup: str = "") -> None:
        """Begin a session; tests share the kernel, and leave no worker to each other."""
        self.messages.clear()
        self.run("ray.init(num_cpus=4);\n" + setup)

    def close(self) -> None:
        """End the session, and whatever a test has left running."""
        self.run("ray.shutdown()")

    def start(self, code: str) -> str:
        """Run a cell; returns at once. Also right after one that has failed, where ipykernel would drop it."""
        return self._client.execute(code, stop_on_error=False)

    def run(self, code: str) -> str:
        """Run a cell to its end; fails if it raises."""
        cell = self.start(code)
        self.until(lambda: self.of(cell, "idle"))
        assert not self.of(cell, "error"), self.of(cell, "error")
        return cell

    def of(self, cell: str, kind: str) -> list[dict[str, Any]]:
        """Return what came of a kind under a cell."""
        return [content for owner, found, content in self.messages if owner == cell and found == kind]

    def text(self, cell: str) -> str:
        """Return what shows under a cell as text: the last state of each display, and what else was put out."""
        shown: dict[str, str] = {}
        for owner, kind, content in self.messages:
            if owner != cell or kind not in ("display_data", "update_display_data", "execute_result", "stream"):
                continue
            key = (content.get("transient") or {}).get("display_id") or str(len(shown))
            shown[key] = content["text"] if kind == "stream" else content["data"].get("text/plain", "")
        return "\n".join(shown.values())

    def last(self, cell: str) -> dict[str, Any]:
        """Return the last bundle of the display under a cell that is updated."""
        return self.of(cell, "update_display_data")[-1]["data"]

    def until(self, condition: Callable[[], Any]) -> None:
        """Read messages until a condition holds."""
        ends = monotonic() + REPLY_S
        while not condition():
            assert monotonic() < ends, f"not so within {REPLY_S} s; what came: {self.messages[-8:]}"
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status":
                kind = content["execution_state"]
            self.messages.append((message["parent_header"].get("msg_id", ""), kind, content))

    def reply(self, code: str) -> dict[str, Any]:
        """Run a cell to its end and return what the kernel says of it; it may fail."""
        cell = self.start(code)
        while True:
            message = self._client.get_shell_msg(timeout=REPLY_S)
            if message["parent_header"].get("msg_id") == cell:
                content: dict[str, Any] = message["content"]
                return content

    def complete(self, code: str) -> list[str]:
        """Return what Tab offers at the end of some code."""
        reply = self._client.complete(code, reply=True, timeout=REPLY_S)
        matches: list[str] = reply["content"]["matches"]
        return matches

    def interrupt_when(self, path: str) -> None:
        """Interrupt the kernel as soon as a file exists."""
        eventually(lambda: os.path.exists(path), REPLY_S, path)
        self._manager.interrupt_kernel()

    def click(self, comm_id: str) -> None:
        """Press a widget's button, as a front end without subshells does."""
        data = {"method": "custom", "content": {"event": "click"}, "buffer_paths": []}
        self._client.shell_channel.send(self._client.session.msg("comm_msg", {"comm_id": comm_id, "data": data}))

    def stop(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
