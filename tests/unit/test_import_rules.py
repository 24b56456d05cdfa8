"""Who may import whom. The layers are told at the top of `nbactors/__init__.py`; this test holds them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors

ROOT = Path(nbactors.__file__).parent
STDLIB = sys.stdlib_module_names

# Options, errors and signatures: the standard library and each other.
FOUNDATION = {
    "cloud",
    "origin",
    "description",
    "output",
    "ownership",
    "exceptions",
    "facts",
    "html",
    "importable",
    "init_keywords",
    "interrupts",
    "limits",
    "notebook",
    "num_returns",
    "renewal",
    "option_checks",
    "options",
    "runtime_env",
    "signature",
    "state_directory",
    "task_error",
    "unready",
    "user_code",
    "version",
}
DATA = {"meta", "object_ref", "object_ref_generator", "read_only"}
VERBS = {
    "actor",
    "actor_class_check",
    "checkpoint_store",
    "api",
    "placement",
    "remote_function",
    "remote_method",
    "runtime_context",
    "session_context",
    "upkeep",
}
PUBLIC = {
    "",
    "actor",
    "exceptions",
    "html",
    "interrupts",
    "object_ref",
    "origin",
    "output",
    "read_only",
    "remote_function",
    "runtime_context",
    "upkeep",
    "user_code",
    "util",
    "version",
}

# Edges that the rules would forbid, each with the reason for it.
ALLOWED = {
    ("api", "local.wire.pickling"),  # which modules travel by value is one registry, whichever engine runs
    ("jupyter.on_code", "local.worker.display"),  # it shows at its end what the cell has drawn
    ("local.client.actors", "actor"),  # a received handle is the public class
    ("local.worker.engine", "actor"),  # so is an actor's handle to itself
}

READS_OR_WRITES = {"asyncio", "http", "mmap", "multiprocessing", "select", "selectors", "socket", "ssl", "subprocess"}
ACTS = {"asyncio", "socket", "subprocess", "time", "threading", "select", "selectors", "multiprocessing", "signal"}
PURE = {
    "local.client.call_life",
    "local.node.actor_table",
    "local.node.lifecycle",
    "local.node.resources",
    "local.node.state",
    "local.store.object_life",
}


def modules() -> dict[str, Path]:
    """Every module of the package, named from within it; the package itself is ''."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """Absolute names of what a module imports, inside functions too, but not only for type checkers."""
    todo: list[ast.AST] = [ast.parse(MODULES[name].read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner.removeprefix("nbactors.") in MODULES else node.module
        else:
            todo += ast.iter_child_nodes(node)


EDGES = {name: set(imports(name)) for name in MODULES}


def own(name: str) -> set[str]:
    """The modules of the package that a module imports, named from within it."""
    found = {
        edge.removeprefix("nbactors").removeprefix(".") for edge in EDGES[name] if edge.split(".")[0] == "nbactors"
    }
    return {edge for edge in found if (name, edge) not in ALLOWED}


def others(name: str) -> set[str]:
    """The packages outside that a module imports."""
    return {edge.split(".")[0] for edge in EDGES[name]} - {"nbactors"}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def test_every_exception_is_needed() -> None:
    for name, target in ALLOWED:
        assert f"nbactors.{target}" in EDGES[name], f"{name} no longer imports {target}: take it out of ALLOWED"


@pytest.mark.parametrize("name", sorted(FOUNDATION))
def test_the_foundation_stands_on_the_standard_library(name: str) -> None:
    assert others(name) <= STDLIB | ({"cloudpickle"} if name in ("cloud", "importable") else set())
    assert own(name) <= FOUNDATION


@pytest.mark.parametrize("name", sorted(DATA))
def test_data_stands_on_the_foundation(name: str) -> None:
    assert others(name) <= STDLIB
    assert own(name) <= FOUNDATION | DATA


@pytest.mark.parametrize("name", sorted(VERBS))
def test_verbs_speak_to_the_engine_interface(name: str) -> None:
    assert others(name) <= STDLIB | {"cloudpickle"}
    assert own(name) <= FOUNDATION | DATA | VERBS | {"engine", "engine.base"}


def test_every_module_has_a_layer() -> None:
    top = {name for name in MODULES if name and "." not in name}
    packages = {"benchmark", "cli", "engine", "jupyter", "local", "ray_engine", "testing", "util"}
    assert top - packages == FOUNDATION | DATA | VERBS


def test_the_package_itself_only_reexports() -> None:
    hooks = {"engine", "jupyter.face", "jupyter.magics"}
    assert own("") <= VERBS | DATA | FOUNDATION | {"util"} | hooks


@pytest.mark.parametrize("name", sorted(name for name in MODULES if within(name, "engine")))
def test_the_engine_interface_knows_no_engine(name: str) -> None:
    assert own(name) <= FOUNDATION | DATA | {"engine.base"}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if within(name, "util") and name != "util.state"))
def test_util_stands_on_the_verbs(name: str) -> None:
    assert all(edge in FOUNDATION | DATA | VERBS | {"engine", ""} or within(edge, "util") for edge in own(name))


@pytest.mark.parametrize("name", sorted(name for name in MODULES if within(name, "local")))
def test_the_local_engine_is_below_the_seam(name: str) -> None:
    assert not own(name) & (VERBS | {""})


@pytest.mark.parametrize("name", sorted(name for name in MODULES if within(name, "local.wire")))
def test_wire_does_no_io(name: str) -> None:
    assert not others(name) & READS_OR_WRITES
    assert all(within(edge, "local.wire") or edge in FOUNDATION for edge in own(name))


@pytest.mark.parametrize("name", sorted(PURE & set(MODULES)))
def test_state_machines_do_nothing(name: str) -> None:
    assert not others(name) & ACTS


def test_pure_modules_exist() -> None:
    assert set(MODULES) >= PURE


@pytest.mark.parametrize("name", sorted(name for name in MODULES if within(name, "local.node")))
def test_node_never_unpickles(name: str) -> None:
    assert not others(name) & {"cloudpickle", "pickle"}
    assert "local.wire.pickling" not in own(name)
    assert not any(within(edge, "local.worker") for edge in own(name))


@pytest.mark.parametrize("name", sorted(name for name in MODULES if within(name, "local.worker")))
def test_worker_knows_no_node(name: str) -> None:
    assert not any(within(edge, "local.node") for edge in own(name))


@pytest.mark.parametrize("name", sorted(name for name in MODULES if within(name, "jupyter") or within(name, "cli")))
def test_what_people_touch_uses_public_names(name: str) -> None:
    home = name.split(".", maxsplit=1)[0]
    allowed = PUBLIC | {"util.state"}
    assert all(
        edge in allowed
        or within(edge, home)
        or within(edge, "util")
        or (home == "cli" and within(edge, "benchmark"))
        or (within(name, "jupyter.server") and within(edge, "local.client"))
        for edge in own(name)
    ), own(name)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_below_knows_what_people_touch(name: str) -> None:
    if within(name, "jupyter") or within(name, "cli") or name == "":
        return
    assert not any(within(edge, "jupyter") or within(edge, "cli") for edge in own(name))


def test_only_the_ray_engine_imports_ray() -> None:
    assert {name for name in MODULES if "ray" in others(name)} <= {"ray_engine"}


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "helpers", "common", "core"}
    assert not [name for name in MODULES if name.split(".")[-1] in drawers]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_is_too_long(name: str) -> None:
    text = MODULES[name].read_text()
    assert text.count("\n") <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= 60 or _is_mostly_docstring(node, lines), f"{name}.{node.name} has {lines} lines"


def _is_mostly_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: int) -> bool:
    first = node.body[0]
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        return False
    return lines - ((first.end_lineno or 0) - first.lineno + 1) <= 60
