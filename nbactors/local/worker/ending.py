"""How a worker ends on purpose: `__ray_shutdown__`, `__del__`, atexit handlers, buffers, and the node is told why."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
from typing import TYPE_CHECKING

from nbactors.limits import MAX_TEXT
from nbactors.local.wire import messages

if TYPE_CHECKING:
    from nbactors.local.worker.executor import Executor

OUTPUT_S = 2.0


class ActorExit(BaseException):
    """Raised by `exit_actor()` to unwind the method; no `except Exception` of the user's catches it.

    Attributes:
        after_queue: Whether what waits already is still served; otherwise it fails.
    """

    def __init__(self, text: str, after_queue: bool = False) -> None:
        super().__init__(text)
        self.after_queue = after_queue


class Ending:
    """The last job of a worker.

    Args:
        kind: What the node is told, see `messages.Ending`.
        text: The cause, for whoever still calls.
        graceful: Whether the user's clean-up runs.
        status: The process's exit status.
    """

    def __init__(self, kind: str, text: str, graceful: bool = True, status: int = 0) -> None:
        self.kind = kind
        self.text = text[-MAX_TEXT:]
        self.graceful = graceful
        self.status = status

    def carry_out(self, executor: Executor) -> None:
        """End the process. The main thread; does not return.

        The order is Ray's: `__ray_shutdown__`, the instance's `__del__`, atexit handlers.
        """
        process = executor.process
        process.node.send_now(messages.Ending(self.kind, self.text))
        # Answers of finished calls go out before the clean-up, which may take long.
        process.flush(OUTPUT_S)
        if self.graceful:
            _clean_up(executor)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # closed by the user
                pass
        process.flush(OUTPUT_S)
        os._exit(self.status)


def _clean_up(executor: Executor) -> None:
    instance, executor.instance = executor.instance, None
    shutdown = getattr(instance, "__ray_shutdown__", None)
    if shutdown is not None:
        try:
            shutdown()
        except BaseException:  # noqa: BLE001 - Ray logs it and goes on
            print("__ray_shutdown__ raised:", file=sys.stderr)
            traceback.print_exc()
    shutdown = None
    del instance
    gc.collect()
    # What `sys.exit` would run; the interpreter itself is left by os._exit, since the forkserver's state is in it.
    atexit._run_exitfuncs()
