"""A debugger that the user works with from another process."""

from __future__ import annotations

import bdb
import json
import linecache
import pdb  # noqa: T100 - the base of this debugger
import types
from typing import TYPE_CHECKING, Any

from nbactors.exceptions.user_frames import is_hidden

if TYPE_CHECKING:
    import socket


class _Terminal:
    """The stdin and stdout of `Pdb`. If the other side has gone, each read returns "", see `do_EOF`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("r", encoding="utf-8")
        self._text = ""

    def take_sources(self) -> None:
        """Learn the code of the notebook's cells, which the other side sends first. Nothing comes if it has gone."""
        line = self._lines.readline()
        for filename, source in json.loads(line or "{}").items():
            linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)

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
        self._terminal.take_sources()
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
        if not self.quitting and frame.f_back is not None and is_hidden(frame.f_back.f_code.co_filename):
            self.clear_all_breaks()
            self.set_continue()

    def get_stack(self, f: types.FrameType | None, t: types.TracebackType | None) -> tuple[list[Any], int]:
        """See `Bdb`. Leaves out the frames below the user's: those of the runtime, and what has started these."""
        stack, index = super().get_stack(f, t)
        hidden = [is_hidden(frame.f_code.co_filename) for frame, _ in stack]
        if True not in hidden:
            return stack, index
        first = hidden.index(True)
        below = next((number for number in range(first, len(hidden)) if not hidden[number]), 0)
        return stack[below:], max(index - below, 0)

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
