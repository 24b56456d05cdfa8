"""What a pickled error tells in one line, without running user code."""

from __future__ import annotations

from nbactors.exceptions import TaskCancelledError
from nbactors.local.task_events import error_types
from nbactors.local.wire import failures

TRACE = """Traceback (most recent call last):
  File "a.py", line 5, in run
    time.sleep(9)
KeyboardInterrupt: this call was cancelled
nbactors.exceptions.TaskCancelledError: Task: 00ff was cancelled.
"""


def test_an_interrupted_call_is_told_as_cancelled() -> None:
    data = failures.encode_task_error("Worker.run", TRACE, TaskCancelledError(), 7)
    assert failures.summary(data) == ("Worker.run", "TaskCancelledError: Task: 00ff was cancelled.")
    assert error_types.of_failure(data)[0] == error_types.CANCELED


def test_a_failed_call_is_told_by_the_exception_after_its_last_frame() -> None:
    trace = TRACE.partition("KeyboardInterrupt")[0] + "ValueError: first\nsecond\n"
    data = failures.encode_task_error("Worker.run", trace, ValueError("first\nsecond"), 7)
    assert failures.summary(data) == ("Worker.run", "ValueError: first")
