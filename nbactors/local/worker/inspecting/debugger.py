"""A debugger that the user works with from another process."""

from __future__ import annotations

import bdb
import json
import pdb  # noqa: T100 - the base of this debugger
import types
from typing import TYPE_CHECKING, Any

from nbactors.local.worker.inspecting.traces import hidden

if TYPE_CHECKING:
    import socket


class _Terminal:
    """The stdin and stdout of `Pdb`. If the other side has gone, each read returns "", see `do_EOF`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("r", encoding="utf-8")
        self._text = ""

    def write(self, text: str) -> int:
        self._text += text
        return len(text)

    def flush(self) -> None:
        pass

    def readline(self) -> str:
        """Send the written text, with its last line as the prompt, and return the user's answer."""
        shown, _, prompt = self._text.rpartition("\n")
        return self._lines.readline() if self._send(f"{shown}\n" if shown else "", prompt) else ""

    def close(self) -> None:
        self._send(self._text, None)
        self._lines.close()
        self._connection.close()

    def _send(self, text: str, prompt: str | None) -> bool:
        self._text = ""
        try:
            self._connection.sendall(json.dumps({"text": text, "prompt": prompt}).encode() + b"\n")
        except OSError:
            return False
        return True


class Debugger(pdb.Pdb):
    """Stops in user code only, and ends with the call."""

    def __init__(self, connection: socket.socket) -> None:
        self._terminal = _Terminal(connection)
        self._is_open = True
        super().__init__(
            stdin=self._terminal,  # type: ignore[arg-type]
            stdout=self._terminal,  # type: ignore[arg-type]
            skip=["nbactors.*"],
            nosigint=True,
            readrc=False,
        )

    def do_EOF(self, arg: str) -> bool | None:  # noqa: N802 - pdb's name
        """Let the call go on, since the user has left."""
        self.clear_all_breaks()
        return self.do_continue(arg)

    def set_continue(self) -> None:
        """See `Bdb`."""
        super().set_continue()
        if not self.breaks:
            self._end()

    def user_return(self, frame: types.FrameType, return_value: Any) -> None:
        """See `Bdb`."""
        super().user_return(frame, return_value)
        if not self.quitting and frame.f_back is not None and hidden(frame.f_back.f_code.co_filename):
            self.clear_all_breaks()
            self.set_continue()

    def trace_dispatch(self, frame: types.FrameType, event: str, arg: Any) -> Any:
        """See `Bdb`."""
        try:
            return super().trace_dispatch(frame, event, arg)
        except bdb.BdbQuit:
            self._end()
            # Not BdbQuit: IPython shows nothing for it, so the cell would look as if the call had succeeded.
            raise RuntimeError("this call was ended with `q` in the debugger, at its breakpoint()") from None

    def _end(self) -> None:
        if self._is_open:
            self._is_open = False
            self._terminal.close()
