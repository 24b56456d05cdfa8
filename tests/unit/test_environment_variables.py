"""The README's table of environment variables names exactly those that the code reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors
from nbactors.limits import MAX_SECONDS
from nbactors.local.access.linger import DEFAULT_S, linger_s
from nbactors.local.access.memory_threshold import DEFAULT, memory_threshold

ROOT = Path(nbactors.__file__).parent
README = ROOT.parent / "README.md"
ROW = re.compile(r"\| `([A-Za-z_]+)` \| [^|]+ \| [^|]+ \|")


def read_by(path: Path) -> Iterator[str]:
    """Names of the variables that a file looks up in a mapping that is called `environ` or the like."""
    tree = ast.parse(path.read_text())
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "expanduser":
            yield "HOME"
        for mapping, key in _look_ups(node):
            if re.search(r"\benvironb?\b(\(\))?$", ast.unparse(mapping)):
                found = constants.get(key.id, key) if isinstance(key, ast.Name) else key
                if isinstance(found, ast.Constant):
                    yield found.value.decode() if isinstance(found.value, bytes) else found.value


def _look_ups(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        if node.func.attr in ("get", "pop", "setdefault"):
            yield node.func.value, node.args[0]
        assert node.func.attr not in ("getenv", "getenvb"), "read variables by os.environ, where this test finds them"
    elif isinstance(node, ast.Subscript):
        yield node.value, node.slice
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        yield node.comparators[0], node.left


def test_the_table_names_exactly_the_variables_that_the_code_reads() -> None:
    documented = ROW.findall(README.read_text())
    assert len(documented) == len(set(documented))
    assert set(documented) == {name for path in ROOT.rglob("*.py") for name in read_by(path)}


def test_the_defaults_are_those_of_the_code() -> None:
    (row,) = [line for line in README.read_text().splitlines() if line.startswith("| `NBACTORS_LINGER_S`")]
    assert f"seconds from 0 to {MAX_SECONDS:.0f}; {DEFAULT_S:g} |" in row
    (row,) = [line for line in README.read_text().splitlines() if line.startswith("| `NBACTORS_MEMORY_THRESHOLD`")]
    assert f"never; {DEFAULT:g} |" in row


@pytest.mark.parametrize(("given", "share"), [("", DEFAULT), ("0.5", 0.5), ("1", 1.0)])
def test_the_memory_threshold_is_read_from_its_variable(
    given: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBACTORS_MEMORY_THRESHOLD", given)
    assert memory_threshold() == share


@pytest.mark.parametrize("given", ["0", "1.1", "nan", "much"])
def test_another_memory_threshold_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBACTORS_MEMORY_THRESHOLD", given)
    with pytest.raises(ValueError, match="NBACTORS_MEMORY_THRESHOLD must hold the share"):
        memory_threshold()


@pytest.mark.parametrize(("given", "seconds"), [("", DEFAULT_S), ("0", 0.0), (" 2.5 ", 2.5), ("604800", MAX_SECONDS)])
def test_the_lingering_time_is_read_from_its_variable(
    given: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBACTORS_LINGER_S", given)
    assert linger_s() == seconds
