"""Every test runs and has an assertion: a test without an assertion passes whatever the code does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# Calls that fail the test: pytest's, and those of `nbactors.testing`.
CHECKS = {"pytest.raises", "pytest.warns", "pytest.fail", "eventually", "check_leaks"}

Found = tuple[Path, ast.AST]


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def functions(path: Path) -> dict[str, Found]:
    """The functions that a file defines or imports from other files of the tests, each with its file."""
    found: dict[str, Found] = {}
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and (source := file_of(node.module or "", path)):
            theirs = functions(source)
            found |= {alias.asname or alias.name: theirs[alias.name] for alias in node.names if alias.name in theirs}
    return found | {node.name: (path, node) for node in nodes(path) if isinstance(node, FUNCTIONS)}


def file_of(module: str, importer: Path) -> Path | None:
    """The file of a module that the tests import from their own folders."""
    files = [folder.joinpath(*module.split(".")).with_suffix(".py") for folder in (importer.parent, TESTS) if module]
    return next((file for file in files if file.exists()), None)


@cache
def helper(name: str, path: Path) -> Found | None:
    """The function or the fixture that a name stands for in a file."""
    fixtures = [folder / "conftest.py" for folder in path.parents if folder.is_relative_to(TESTS)]
    files = [path, *(file for file in fixtures if file.exists())]
    return next((functions(file)[name] for file in files if name in functions(file)), None)


def asserts(path: Path, function: ast.AST, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a function has an assertion, or names a function that has one. Methods are not followed."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    if any(is_assertion(node) for node in ast.walk(function)):
        return True
    return any(asserts(*found, seen | names) for name in names - seen if (found := helper(name, path)))


def is_assertion(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise):
        return "AssertionError" in ast.unparse(node)
    return isinstance(node, ast.Assert) or (isinstance(node, ast.Call) and ast.unparse(node.func) in CHECKS)


def without_assertion(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, FUNCTIONS) and node.name.startswith("test_") and not asserts(path, node):
            yield f"{path.relative_to(TESTS.parent)}:{node.lineno} {node.name}"


@pytest.mark.slow
def test_every_test_has_an_assertion() -> None:
    found = [test for path in sorted(TESTS.rglob("test_*.py")) for test in without_assertion(path)]
    assert not found, "these tests pass whatever the code does; assert what they hold:\n" + "\n".join(found)


def test_no_two_files_of_tests_are_the_same_module() -> None:
    """pytest takes the name of a file in a folder without `__init__.py` for the module, and refuses a second one."""
    files: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if not (path.parent / "__init__.py").exists():
            files.setdefault(path.name, []).append(str(path.relative_to(TESTS)))
    assert [paths for paths in files.values() if len(paths) > 1] == []
