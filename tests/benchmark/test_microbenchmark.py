from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nbactors.benchmark.rows import ROWS
from nbactors.benchmark.subject import Runtime, Subject, WorkError
from nbactors.cli.microbenchmark import microbenchmark

FOLDER = Path(microbenchmark.callback.__code__.co_filename).parents[1] / "benchmark"  # type: ignore[union-attr]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(microbenchmark, arguments)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_row_is_measured_and_shown() -> None:
    result = invoke("--seconds", "0.02", "--starts", "1")
    assert result.exit_code == 0, result.output
    shown = {line.split("  ")[0]: line for line in result.output.splitlines()}
    for row in ROWS:
        assert "  - " not in shown[row.work], shown[row.work]
    assert "  in flight" in result.output


def test_only_rows_that_exist_can_be_chosen() -> None:
    result = invoke("--only", "no such row")
    assert result.exit_code == 2
    assert "'no such row' matches no row" in result.output
    assert "calls_in_flight: 1:1 calls, 1,000 in flight" in result.output


def test_work_whose_process_ends_fails_with_what_it_wrote() -> None:
    with closing(Subject(Runtime("no_such_runtime"), os.environ)) as subject:
        with pytest.raises(WorkError, match="No module named 'no_such_runtime'"):
            subject.run("init")
        with pytest.raises(WorkError, match="ended with status 1"):
            subject.run("init")


def test_work_that_raises_fails_with_its_traceback() -> None:
    subject = Subject(Runtime("json"), os.environ)
    with closing(subject), pytest.raises(WorkError, match="no attribute 'remote'"):
        subject.run("init")


def test_printed_lines_of_the_work_are_no_answer(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(FOLDER)!r}); import workloads\n"
        "class Loud:\n"
        "    def __init__(self, module): print('made')\n"
        "    def shout(self): print('shouted'); return 7\n"
        "workloads.serve(Loud)\n"
    )
    with closing(Subject(Runtime("json", sys.executable, str(script)), os.environ)) as subject:
        assert subject.run("shout") == 7


def test_the_installed_benchmark_stays_small() -> None:
    files = list(FOLDER.glob("*.py"))
    assert len(files) <= 8
    assert sum(len(file.read_text().splitlines()) for file in files) <= 730
