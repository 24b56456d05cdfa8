"""Who may import whom: one table of rooms. Imports run downwards, and form no circle."""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbactors

ROOT = Path(nbactors.__file__).parent
STDLIB = sys.stdlib_module_names

# A room, which rooms it may import, and which packages beside the standard library. The upper ones come first.
# Imports for type checkers and those inside functions count. A module belongs to the longest name that it begins with.
TABLE = """
jupyter.server            : jupyter util exceptions frontend version views  + jupyter_core jupyter_server psutil tornado
jupyter                   : package in_worker util upkeep actor remote_function object_ref object_ref_generator
                            byte_sizes exceptions frontend views
                          + IPython anywidget ipywidgets traitlets tblib psutil
cli                       : cluster.observing cluster.preflight benchmark util byte_sizes exceptions speedups
                            version views                                         + click psutil rich textual
benchmark                 :                                                                     + typing_extensions
testing                   : exceptions frontend local.access local.sockets                      + msgspec psutil
cloudpickle               : pickling api definitions                                                     + cloudpickle
experimental              : util engine object_ref
job_config                : logging_config
package                   : cloudpickle cross_language experimental job_config logging_config ray_names types
                            upkeep util api actor
                            runtime_context engine object_ref object_ref_generator exceptions old_names version
                                                                                                         + IPython
upkeep                    : api actor definitions engine exceptions object_ref options ownership
util.multiprocessing      : api exceptions object_ref views                            + typing_extensions
util                      : pickling api actor definitions engine exceptions frontend object_ref object_ref_generator
                            options ray_names views
logging_config            : engine
runtime_context           : actor engine ray_names runtime_env
api                       : actor remote_function definitions ray_context engine exceptions object_ref
                            object_ref_generator options
                                                                                    + cloudpickle
remote_function           : dag definitions engine object_ref object_ref_generator options views
actor                     : dag remote_method definitions engine object_ref object_ref_generator options ray_names
                            views                                                   + typing_extensions
remote_method             : object_ref object_ref_generator
dag                       : definitions options                                          + typing_extensions
ray_context               : byte_sizes engine version views                            + typing_extensions
engine                    : object_ref definitions exceptions frontend options views
object_ref_generator      : object_ref ray_names views
object_ref                : frontend ray_names views
views                     : byte_sizes definitions frontend
definitions               : options exceptions                                                  + cloudpickle
options                   : byte_sizes runtime_env limits
runtime_env               : limits                                                                       + pathspec
frontend                  : exceptions version
pickling                  : definitions frontend                                                   + polars pyarrow
byte_sizes                :
exceptions                : version
old_names                 :
types                     : object_ref
cross_language            :
ray_names                 :                                                                     + typing_extensions
ownership                 :
limits                    :
version                   :
speedups                  :

cluster                   : cluster.observing cluster.preflight cluster.host cluster.common definitions engine
                            exceptions frontend object_ref object_ref_generator options version views        + ray
cluster.observing         : cluster.common engine exceptions frontend object_ref version                     + ray
cluster.preflight         : cluster.common byte_sizes exceptions                                             + ray
cluster.host              : cluster.common in_worker definitions exceptions frontend logging_config          + ray
cluster.common            : definitions engine exceptions                                                    + ray

in_worker                 : exceptions frontend version                                       + IPython traitlets

local.worker              : pickling local.worker.running local.worker.inspecting local.worker.printing local.session
                            in_worker
                            local.member local.membership local.reactor local.sockets local.wire definitions engine
                            exceptions frontend limits logging_config runtime_env version         + msgspec
local.worker.running      : in_worker pickling local.worker.inspecting local.worker.memory local.worker.printing
                            local.worker.jobs
                            local.submitting local.task_events
                            local.objects local.connections local.reactor local.membership local.wire definitions
                            exceptions frontend limits speedups version                         + uvloop
local.worker.inspecting   : in_worker local.worker.jobs local.connections local.membership local.sockets local.wire
                            exceptions
local.worker.printing     : local.worker.jobs local.connections local.reactor local.wire in_worker frontend
                                                                        + msgspec setproctitle
local.worker.memory       : byte_sizes
local.worker.jobs         : local.submitting local.task_events local.objects local.connections local.membership
                            local.wire limits options speedups
local.observing           : local.cancelling local.stack_of_actor local.surroundings local.access local.group_facts
                            local.wire engine exceptions version
local.group_facts         : local.wire engine
local.session             : pickling local.member local.membership local.submitting local.objects local.reactor
                            local.stack_of_actor
                            local.access local.group_facts
                            local.environment local.sockets local.standard_streams local.wire definitions engine
                            exceptions frontend limits object_ref options version views               + msgspec
local.member              : local.submitting local.task_events
                            local.objects local.connections local.store local.reactor local.current
                            local.access local.environment local.membership local.wire exceptions frontend
local.submitting          : pickling byte_sizes local.task_events local.objects local.connections local.reactor
                            local.current local.environment local.membership local.wire definitions engine exceptions
                            frontend limits object_ref object_ref_generator options speedups views
local.task_events         : byte_sizes local.reactor local.membership local.wire frontend limits views
local.objects             : pickling local.connections local.store local.reactor local.cgroups local.current
                            local.membership
                            local.wire definitions engine exceptions frontend object_ref object_ref_generator
                            speedups views
local.connections         : local.reactor local.membership local.sockets local.wire exceptions speedups version
                                                                                                              + msgspec
local.environment         : pickling local.installation local.packages local.wire runtime_env
local.packages            : local.access runtime_env exceptions frontend
local.membership          : exceptions
local.reactor             : frontend speedups
local.current             : engine exceptions
local.store               : local.memory_files exceptions
local.cancelling          : local.stack_of_actor local.wire
local.stack_of_actor      : local.sockets local.wire exceptions version
local.installation        : local.access local.wire
local.standard_streams    :
local.cgroups             :
local.memory_files        :
local.forkserver          : local.preloading local.spare local.wire
local.spare               : local.wire
local.preloading          : local.wire + msgspec
local.surroundings        : local.node.shell local.store local.access local.cgroups local.memory_files local.sockets
                            local.wire
local.node                : local.node.rules local.node.shell local.access local.cgroups local.memory_files
                            local.sockets local.wire                                                  + msgspec
local.node.shell          : local.node.rules local.access local.cgroups local.sockets local.wire exceptions ownership
                                                                                                      + msgspec
local.node.rules          : local.wire byte_sizes limits                                                       + msgspec
local.access              : local.membership local.sockets local.wire exceptions frontend limits ownership version
                                                                                                    + msgspec psutil
local.sockets             : local.wire
local.wire                : pickling exceptions frontend limits                                       + msgspec
local                     : definitions
"""

# Imports that the table forbids, each with the reason for it.
ALLOWED = {
    ("package", "jupyter.failures.tracebacks"),  # in a notebook
    ("package", "jupyter.kernel.session_hooks"),  # in a notebook, on first use
    ("package", "jupyter.magics.registry"),  # `%load_ext nbactors`
    ("local.submitting.handles", "actor"),  # a received handle is the public class
    ("local.worker.engine", "actor"),  # so is an actor's handle to itself
    ("cluster.link", "actor"),  # as the first of these two
}

READS_OR_WRITES = {"asyncio", "http", "mmap", "multiprocessing", "select", "selectors", "socket", "ssl", "subprocess"}
ACTS = {"asyncio", "socket", "subprocess", "time", "threading", "select", "selectors", "multiprocessing", "signal"}
PURE = {
    "cli.doctor.facts",
    "cli.doctor.rules",
    "cli.doctor.finding",
    "cli.top.board",
    "cli.top.columns",
    "cli.top.ordering",
    "jupyter.cell_output.inbox",
    "jupyter.cell_output.refresh_pace",
    "jupyter.panels.activity",
    "jupyter.panels.states",
    "local.node.rules.actor_table",
    "local.node.rules.lifecycle",
    "local.node.rules.memory.store_room",
    "local.node.rules.resources",
    "local.node.rules.state",
    "local.node.rules.tracing.task_table",
    "local.objects.object_life",
    "local.store.page_map",
    "local.store.hold",
    "local.store.room",
    "local.store.warm_blocks",
    "local.submitting.call_life",
    "testing.records",
    "testing.rules",
}


def rooms() -> dict[str, tuple[set[str], set[str]]]:
    """The rooms and the packages that each room may import."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    name = ""
    for line in TABLE.strip().splitlines():
        head, colon, rest = line.partition(" :")
        if colon:
            name = head.strip()
            found[name] = (set(), set())
        else:
            rest = line
        below, _, packages = rest.partition("+")
        found[name][0].update(below.split())
        found[name][1].update(packages.split())
    return found


ROOMS = rooms()


def modules() -> dict[str, Path]:
    """Every module of the package, named from within it; the package itself is `package`."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "package"] = path
    return found


MODULES = modules()


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def room_of(name: str) -> str:
    return max((room for room in ROOMS if within(name, room)), key=len, default="")


def imports(name: str) -> Iterator[str]:
    """What a module imports: modules of the package by their names from within it, other packages with a dot before."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield own_name(alias.name)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            assert node.module
            for alias in node.names:
                inner = own_name(f"{node.module}.{alias.name}")
                yield inner if inner in MODULES else own_name(node.module)


def own_name(name: str) -> str:
    package, _, rest = name.partition(".")
    return rest or "package" if package == "nbactors" else f".{package}"


EDGES = {name: {edge for edge in imports(name) if (name, edge) not in ALLOWED} for name in MODULES}


def own(name: str) -> set[str]:
    return EDGES[name] & set(MODULES)


def others(name: str) -> set[str]:
    return {edge[1:] for edge in EDGES[name] if edge.startswith(".")}


def test_every_listed_exception_is_used() -> None:
    for name, target in ALLOWED:
        assert target in set(imports(name)), f"{name} no longer imports {target}: take it out of ALLOWED"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_the_rooms_and_packages_of_its_row(name: str) -> None:
    room = room_of(name)
    assert room or MODULES[name].name == "__init__.py", "give it a room in the table"
    below, packages = ROOMS.get(room, (set(), set()))
    unfit = {edge for edge in own(name) if room_of(edge) not in {room, *below} and edge != name}
    assert not unfit, f"{room} may not import that"
    assert others(name) <= STDLIB | packages


def test_no_room_imports_a_higher_room() -> None:
    order = list(ROOMS)
    for room, (below, _) in ROOMS.items():
        assert below <= set(order), f"{room}: {below - set(order)}"
    assert not circles({room: below for room, (below, _) in ROOMS.items()})


def test_every_allowed_import_of_the_table_is_used() -> None:
    used = defaultdict(set)
    for name in MODULES:
        used[room_of(name)] |= {room_of(edge) for edge in own(name)} | others(name)
    for room, (below, packages) in ROOMS.items():
        assert below | packages <= used[room], f"{room} does not import {(below | packages) - used[room]}"


def test_there_is_no_import_cycle() -> None:
    assert not circles({name: own(name) for name in MODULES})


def circles(edges: dict[str, set[str]]) -> list[set[str]]:
    """Return the sets of more than one node from each of which the others can be reached."""
    reached = {start: reachable(edges, start) for start in edges}
    groups = {frozenset(end for end in ends if start in reached[end]) for start, ends in reached.items()}
    return [set(group) for group in groups if len(group) > 1]


def reachable(edges: dict[str, set[str]], start: str) -> set[str]:
    found, todo = {start}, [start]
    while todo:
        fresh = edges[todo.pop()] - found
        found |= fresh
        todo += fresh
    return found


@pytest.mark.parametrize("name", sorted(name for name in MODULES if within(name, "local.wire")))
def test_the_wire_room_imports_no_module_for_input_or_output(name: str) -> None:
    assert not others(name) & READS_OR_WRITES


@pytest.mark.parametrize("name", sorted(PURE))
def test_state_machines_import_no_module_that_acts(name: str) -> None:
    assert not others(name) & ACTS


def test_folders_are_small_and_file_names_nearly_unique() -> None:
    folders = Counter(path.parent for path in MODULES.values())
    assert folders[ROOT] <= 16
    assert all(count <= 21 for count in folders.values()), "20 and an __init__"
    names = Counter(path.name for path in MODULES.values() if path.name != "__init__.py")
    assert not {name for name, count in names.items() if count > 2}
