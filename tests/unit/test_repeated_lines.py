"""Equal lines of several workers: which are shown at once, and which are gathered for how long."""

from __future__ import annotations

from nbactors.local.session.printer import Printer
from nbactors.local.session.repeated_lines import WINDOW_S, RepeatedLines
from nbactors.local.wire import messages


def output(pid: int, text: str, stream: int = 1, origin: int = 1) -> messages.Output:
    return messages.Output(pid, "A", stream, text, process_id=bytes([pid]) * 16, origin=origin)


def test_lines_of_other_workers_wait_and_those_of_the_same_do_not() -> None:
    lines = RepeatedLines()
    assert lines.take(output(1, "step 1\nother\n"), 0.0) == "step 1\nother\n"
    assert lines.take(output(1, "step 2\n"), 0.1) == "step 2\n"
    assert lines.take(output(2, "step 3\nnew\n"), 0.2) == "new\n"
    assert lines.take(output(3, "step 44\n"), 0.3) == ""
    assert lines.take(output(2, "step 5\n", stream=2), 0.4) == "step 5\n", "another stream"
    assert lines.take(output(2, "step 5\n", origin=2), 0.4) == "step 5\n", "another cell"
    assert lines.until() == WINDOW_S
    assert list(lines.due(WINDOW_S - 0.1)) == []
    ((shown, text),) = lines.due(WINDOW_S)
    assert (shown.pid, text) == (3, "step 44 [repeated 2x across workers]\n")
    assert lines.take(output(2, "step 6\n"), WINDOW_S) == "step 6\n", "a new window"


def test_nothing_is_kept_after_the_window() -> None:
    lines = RepeatedLines()
    lines.take(output(1, "".join(f"{chr(97 + number)}\n" for number in range(20))), 0.0)
    assert list(lines.due(WINDOW_S)) == []
    assert lines.until() is None


def test_a_printer_shows_gathered_lines_in_time_and_at_its_end() -> None:
    shown: list[str] = []
    timers = []
    printer = Printer(has_prefix=False, gathers=True)
    printer.call_later = lambda delay, callback: timers.append((delay, callback))

    class Sink:
        def output(self, output: object) -> None:
            shown.append(output.text)  # type: ignore[attr-defined]

    printer.sink = Sink()  # type: ignore[assignment] # it shows no more than output
    for pid in (1, 2, 3):
        printer.show(output(pid, "same\n"))
    ((delay, _),) = timers
    assert 0 < delay <= WINDOW_S
    assert shown == ["same\n"]
    printer.close()
    assert shown == ["same\n", "same [repeated 2x across workers]\n"]
