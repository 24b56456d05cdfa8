"""Types are tested too: a file that mypy must accept, and lines that it must reject."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="mypy is not installed")

FILES = Path(__file__).parent.parent / "typing"
ERROR = re.compile(r":(\d+): error: .*\[([a-z-]+)\]$")


def errors(name: str, cache: Path) -> set[tuple[int, str]]:
    """Lines and codes of what mypy has to say of a file."""
    options = [
        "--strict",
        "--no-error-summary",
        "--follow-imports=silent",
        f"--cache-dir={cache}",
        "--hide-error-context",
    ]
    root = str(Path(__file__).parent.parent.parent)
    output, problems, _ = api.run(
        [*options, f"--python-executable={sys.executable}", f"--config-file={root}/pyproject.toml", str(FILES / name)]
    )
    assert not problems
    found = [(line, ERROR.search(line)) for line in output.splitlines() if " error: " in line]
    assert all(match for _, match in found), output
    return {(int(match[1]), match[2]) for _, match in found if match}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_type_checkers_accept_correct_programs(cache: Path) -> None:
    assert errors("accepted.py", cache) == set()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_type_checkers_reject_wrong_lines(cache: Path) -> None:
    lines = (FILES / "rejected.py").read_text().splitlines()
    wanted = {(n, line.split("# E: ")[1]) for n, line in enumerate(lines, 1) if "# E: " in line}
    assert errors("rejected.py", cache) == wanted
