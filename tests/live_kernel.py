"""A real kernel whose messages are kept by the cell under which they show."""

from __future__ import annotations

import os
import queue
import uuid
from collections.abc import Callable
from time import monotonic
from typing import Any

from jupyter_client.manager import KernelManager

from nbactors.testing.polling import eventually

REPLY_S = 30
WIDGET = "application/vnd.jupyter.widget-view+json"

_UNTIL = """
def until(path):
    from pathlib import Path
    from nbactors.testing import eventually
    eventually(Path(path).exists, timeout_s=60, what=path)
"""
"""A function for calls that wait for a file."""


def started_kernel(ready_s: float) -> tuple[Any, Any]:
    """Return the manager and the client of a new kernel, whose front end is a live one."""
    manager = KernelManager()
    manager.start_kernel(env=dict(os.environ))
    client = manager.client()
    client.session.metadata = {"cellId": "a live front end"}
    client.start_channels()
    client.wait_for_ready(timeout=ready_s)
    return manager, client


class LiveKernel:
    """A kernel as a notebook has it.

    Attributes:
        has_views: Whether it answers as a page does that has loaded the views of a panel.
        messages: All that came on iopub, in order, as (cell, type, content); cell is what `start` returned.
    """

    def __init__(self, *blocked: str, reply_s: float = REPLY_S) -> None:
        """Start it; modules in `blocked` cannot be imported there. No cell may take longer than `reply_s` seconds."""
        self._reply_s = reply_s
        self.messages: list[tuple[str, str, dict[str, Any]]] = []
        self.has_views = True
        self._manager, self._client = started_kernel(REPLY_S)
        names = ", ".join(f"{name!r}: None" for name in blocked)
        self.run(f"import sys; sys.modules.update({{{names}}})")
        self.run("%load_ext nbactors\nimport time\nimport nbactors as ray")
        self.run(_UNTIL)

    def reload(self) -> None:
        """Load the page anew: it has another session id, and what came before is gone.

        `messages` still gets what comes for the cells of before, which a page would ignore.
        """
        self._client.session.session = uuid.uuid4().hex
        self.messages.clear()

    def open(self, setup: str = "") -> None:
        """Begin a session; tests share the kernel, and leave no worker to each other."""
        self.messages.clear()
        self.run("ray.init(num_cpus=4);\n" + setup)

    def close(self) -> None:
        """End the session, and whatever a test has left running."""
        self.run("ray.shutdown()")

    def start(self, code: str, cell_id: str = "") -> str:
        """Run a cell; returns at once. Also right after one that has failed, where ipykernel would drop it.

        `cell_id` is the notebook's id of the cell, for one that runs again; each other cell has an id of its own.
        """
        self._client.session.metadata = {"cellId": cell_id or uuid.uuid4().hex}
        return self._client.execute(code, stop_on_error=False)

    def run(self, code: str, cell_id: str = "") -> str:
        """Run a cell to its end; fails if it raises."""
        cell = self.start(code, cell_id)
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
        ends = monotonic() + self._reply_s
        while not condition():
            assert monotonic() < ends, f"not so within {self._reply_s} s; what came: {self.messages[-8:]}"
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            kind, content = message["msg_type"], message["content"]
            if self.has_views and kind == "comm_open" and "code" in content["data"].get("state", {}):
                self.tell(content["comm_id"], {"kind": "hello"})
            if kind == "status":
                kind = content["execution_state"]
            self.messages.append((message["parent_header"].get("msg_id", ""), kind, content))

    def reply(self, code: str) -> dict[str, Any]:
        """Run a cell to its end and return what the kernel says of it; it may fail."""
        return self._reply_to(self.start(code))

    def _reply_to(self, request: str) -> dict[str, Any]:
        while True:
            message = self._client.get_shell_msg(timeout=self._reply_s)
            if message["parent_header"].get("msg_id") == request:
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
        self.interrupt()

    def interrupt(self) -> None:
        """Press the stop button."""
        self._manager.interrupt_kernel()

    def tell(self, comm_id: str, content: dict[str, Any]) -> None:
        """Send a panel a message of its page, as a front end without subshells does."""
        data = {"method": "custom", "content": content, "buffer_paths": []}
        self._client.shell_channel.send(self._client.session.msg("comm_msg", {"comm_id": comm_id, "data": data}))

    def value(self, code: str) -> str:
        """Return the value of an expression, as its repr."""
        cell = self.run(code)
        return str(self.of(cell, "execute_result")[0]["data"]["text/plain"])

    def press(self, cell: str, **command: str) -> None:
        """Press a button of the panel that a cell has shown last; `command` is what the button asks for."""
        self.until(lambda: self.panels(cell))
        self.tell(self.panels(cell)[-1], {"kind": "do", "number": 1, **command})

    def told(self, comm_id: str, kind: str) -> list[dict[str, Any]]:
        """Return what the kernel has sent to the views of a panel."""
        sent = [content for _, message, content in self.messages if message == "comm_msg"]
        custom = [each["data"] for each in sent if each["comm_id"] == comm_id and each["data"]["method"] == "custom"]
        return [each["content"] for each in custom if each["content"]["kind"] == kind]

    def ask(self, comm_id: str, **command: Any) -> dict[str, Any]:
        """Have a panel do something, and return its answer."""
        number = len(self.told(comm_id, "answer")) + 1
        self.tell(comm_id, {"kind": "do", "number": number, **command})
        self.until(lambda: len(self.told(comm_id, "answer")) == number)
        return self.told(comm_id, "answer")[-1]

    def panels(self, cell: str) -> list[str]:
        """Return the ids of the panels that a cell has shown."""
        shown = self.of(cell, "display_data") + self.of(cell, "update_display_data")
        return [each["data"][WIDGET]["model_id"] for each in shown if WIDGET in each["data"]]

    def widgets(self) -> dict[str, dict[str, Any]]:
        """Return the states of all widgets of the kernel, by id, as a page asks for them when it is loaded."""
        request = self._client.session.msg("comm_info_request", {"target_name": "jupyter.widget"})
        self._client.shell_channel.send(request)
        found: dict[str, dict[str, Any]] = {}
        for comm_id in self._reply_to(request["header"]["msg_id"])["comms"]:
            data = {"method": "request_state"}
            message = self._client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
            self._client.shell_channel.send(message)
            asked = message["header"]["msg_id"]
            self.until(lambda asked=asked: self.of(asked, "idle"))
            for content in self.of(asked, "comm_msg"):
                if content["data"]["method"] == "update":  # the feed's news come at any time
                    found[comm_id] = content["data"]["state"]
        return found

    def stop(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
