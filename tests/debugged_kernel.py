"""A real kernel whose front end answers the prompts of a debugger."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from time import monotonic

from live_kernel import started_kernel

REPLY_S = 60


class DebuggedKernel:
    """A kernel as a notebook has it, with a user at the keyboard."""

    def __init__(self) -> None:
        self._manager, self._client = started_kernel(REPLY_S)
        self.tracebacks: list[str] = []

    def run(self, code: str, answers: Sequence[str | None] = (), *, allow_stdin: bool = True) -> str:
        """Run a cell to its end and return all that showed under it.

        Args:
            answers: What the user types, prompt by prompt; None presses the stop button. `c` is typed after the last.
            allow_stdin: Whether the front end can ask.
        """
        left = list(answers)
        text = ""
        cell = self._client.execute(code, allow_stdin=allow_stdin, stop_on_error=False)
        ends = monotonic() + REPLY_S
        while True:
            assert monotonic() < ends, f"the cell did not end; it showed: {text}"
            try:
                asked = self._client.get_stdin_msg(timeout=0)
                text += asked["content"]["prompt"]
                answer = left.pop(0) if left else "c"
                if answer is None:
                    self._manager.interrupt_kernel()
                else:
                    self._client.input(answer)
            except queue.Empty:
                pass
            try:
                message = self._client.get_iopub_msg(timeout=0.05)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != cell:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                text += content["text"]
            elif message["msg_type"] in ("execute_result", "display_data", "update_display_data"):
                text += content["data"].get("text/plain", "")
            elif message["msg_type"] == "error":
                self.tracebacks.append("\n".join(content["traceback"]))
                text += f"{content['ename']}: {content['evalue']}"
            if content.get("execution_state") == "idle":
                assert not left, f"never asked for {left}; it showed: {text}"
                return text

    def stop(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
