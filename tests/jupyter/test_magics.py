"""`%%actor`, in a real IPython shell."""

from __future__ import annotations

import re

import pytest
from ipython_cells import run_cells

from nbactors.options.served import FOR_ACTORS

pytestmark = pytest.mark.slow

COUNTER = """
import itertools

class Counter:
    def __init__(self):
        self.numbers = itertools.count(1)

    def increment(self):
        return next(self.numbers)

    def fail(self):
        raise ValueError("no more numbers")
"""


def test_the_class_becomes_an_actor_class() -> None:
    magic, made, answer = run_cells(
        "%%actor" + COUNTER,
        "import nbactors as ray; counter = Counter.remote()",
        "ray.get([counter.increment.remote() for _ in range(3)])",
    )
    assert magic.ok, magic.output
    assert made.ok, made.output
    assert "[1, 2, 3]" in answer.output


def test_a_variable_gets_an_actor_and_shows_it() -> None:
    magic, answer, kind = run_cells(
        "%%actor counter" + COUNTER,
        "import nbactors as ray; ray.get(counter.increment.remote())",
        "type(Counter).__name__",
    )
    assert "Actor(Counter, " in magic.output
    assert answer.output.rstrip().endswith("1")
    assert "ActorClass" in kind.output


def test_options_reach_the_actor() -> None:
    _, _, found, amounts = run_cells(
        "import nbactors as ray; _ = ray.init(num_cpus=4, resources={'disk': 3})",
        "%%actor --name tally --namespace here --num-cpus 2 --resource disk=1 counter" + COUNTER,
        "ray.get_actor('tally', namespace='here') == counter, ray.get(counter.increment.remote())",
        "free = ray.available_resources(); free['CPU'], free['disk']",
    )
    assert "(True, 1)" in found.output
    assert "(2.0, 2.0)" in amounts.output


def test_with_a_variable_the_name_is_that_actor_s_alone() -> None:
    _, another = run_cells(
        "%%actor --name tally counter" + COUNTER,
        "import nbactors as ray; ray.get(Counter.remote().increment.remote())",
    )
    assert another.ok, another.output


def test_a_warning_of_an_actor_names_the_cell_of_its_magic() -> None:
    _, magic, _ = run_cells(
        "import nbactors as ray; _ = ray.init(num_cpus=1)",
        "%%actor --name lost --lifetime detached counter" + COUNTER,
        "ray.kill(counter)",
    )
    assert re.match(r"<ipython-input-\S+>:1: UserWarning: the detached actor 'lost'", magic.output)


def test_get_if_exists_takes_the_actor_that_is_there() -> None:
    _, _, _, answer = run_cells(
        "%%actor --name tally counter" + COUNTER,
        "import nbactors as ray; ray.get(counter.increment.remote())",
        "%%actor --name tally --get-if-exists again" + COUNTER,
        "again == counter, ray.get(again.increment.remote())",
    )
    assert "(True, 2)" in answer.output


def test_a_remote_traceback_shows_the_cell_s_line() -> None:
    _, failed = run_cells("%%actor counter" + COUNTER, "import nbactors as ray; ray.get(counter.fail.remote())")
    assert not failed.ok
    assert "line 12, in fail" in failed.output


def test_the_source_of_a_method_can_be_read() -> None:
    _, source = run_cells(
        "%%actor\nclass Plain:\n    def method(self):\n        return 'found'\n\n    @classmethod\n"
        "    def where(cls):\n        return cls.method",
        "import inspect; print(inspect.getsource(Plain.where()))",
    )
    assert "return 'found'" in source.output


def test_an_error_in_the_cell_looks_as_usual() -> None:
    (failed,) = run_cells("%%actor counter\n\nlimit = 1 / 0\n\nclass Counter:\n    pass\n")
    assert failed.error.startswith("ZeroDivisionError")
    assert "----> 3 limit = 1 / 0" in failed.output
    assert failed.output.count("Traceback") == 1
    assert "magics.py" not in failed.output
    assert "cell.py" not in failed.output


def test_a_syntax_error_looks_as_usual() -> None:
    (failed,) = run_cells("%%actor counter\nclass Counter:\n    value =\n")
    assert failed.error.startswith("SyntaxError")
    assert "line 3" in failed.output
    assert "magics.py" not in failed.output


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%actor counter\nvalue = 1", "this cell defines no class at its top level"),
        ("%%actor\nclass A: pass\nclass B: pass", "this cell defines 2 classes (A, B)"),
        ("%%actor\nimport nbactors\n@nbactors.remote\nclass A: pass", "leave out @remote"),
        ("%%actor a-b\nclass A: pass", "'a-b' is no variable name"),
        (
            "%%actor --nmae x a\nclass A: pass",
            "%%actor: unrecognized arguments: --nmae a; did you mean --name? %%actor? lists the options",
        ),
        ("%%actor --detached\nclass A: pass", "unrecognized arguments: --detached; did you mean --lifetime detached?"),
        ("%%actor --lifetime long a\nclass A: pass", "invalid choice: 'long'"),
        ("%%actor a b\nclass A: pass", "unrecognized arguments: b; write %%actor [options] [VARIABLE]; %%actor? tells"),
        ("%%actor --concurrency-group io a\nclass A: pass", "'io' is not NAME=N; write for instance"),
        ("%%actor --env DEBUG a\nclass A: pass", "'DEBUG' is not NAME=VALUE"),
        ("%%actor --max-concurrency -7 a\nclass A: pass", "only accepts None, 0 or a positive integer"),
        ("%%actor --max-restarts -3 a\nclass A: pass", "only accepts None, 0, -1 or a positive integer"),
        ('%%actor --args "1"\nclass A: pass', "a variable for it is needed"),
        ('%%actor --args "1)" a\nclass A: pass', "cannot stand between the parentheses of a call: unmatched ')'"),
        ('%%actor --args "), (" a\nclass A: pass', "its parentheses do not match"),
        (
            '%%actor --args "absent" a\nclass A: pass',
            "A is an actor class now, but a was not made: --args \"absent\" raised NameError: name 'absent' is not def",
        ),
        ('%%actor --name "open a\nclass A: pass', "No closing quotation"),
        ('%%actor --args "1, 2" a\nclass A: pass', "a was not made, since its constructor takes other arguments"),
        ("%%actor --resource disk a\nclass A: pass", "'disk' is not KEY=AMOUNT"),
        (
            "%%actor a\nclass A:\n    def __init__(self, start): pass",
            "a was not made, since its constructor takes other arguments (missing a required argument: 'start')",
        ),
    ],
)
def test_a_mistake_is_explained_in_one_line(cell: str, message: str) -> None:
    (failed,) = run_cells(cell)
    assert not failed.ok
    assert "UsageError: " in failed.output
    assert message in failed.output
    assert len(failed.output.strip().splitlines()) == 1


def test_a_class_is_ready_although_its_instance_could_not_be_made() -> None:
    _, answer = run_cells(
        "%%actor a\nclass A:\n    def __init__(self, start):\n        self.start = start\n"
        "    def get(self):\n        return self.start",
        "import nbactors as ray; ray.get(A.remote(7).get.remote())",
    )
    assert answer.output.rstrip().endswith("7")


def test_the_question_mark_shows_the_options() -> None:
    (shown,) = run_cells("%%actor?")
    assert "[--num-cpus N]" in shown.output
    assert "VARIABLE" in shown.output


def test_arguments_are_evaluated_in_the_notebook() -> None:
    *_, answer, leaked = run_cells(
        "start = [1, 2]",
        "%%actor --args \"start, table={'k': len(start)}\" keeper\nclass Keeper:\n"
        "    def __init__(self, start, table):\n        self.held = start, table\n"
        "    def get(self):\n        return self.held",
        "import nbactors as ray; ray.get(keeper.get.remote())",
        "[name for name in globals() if 'arguments' in name or name == 'actor_class']",
    )
    assert "([1, 2], {'k': 2})" in answer.output
    assert leaked.output.rstrip().endswith("[]")


def test_every_option_reaches_the_actor() -> None:
    line = (
        "%%actor --name {name} --namespace there --lifetime detached --num-cpus 0 --resource disk=1 "
        "--max-concurrency 3 --concurrency-group io=4 --concurrency-group net=2 --max-pending-calls 10 "
        "--max-restarts 0 --memory-limit 1GiB --allow-out-of-order-execution --env 'MODE=a b' "
        "--env LEVEL=2 --working-dir / "
        "--scheduling-strategy SPREAD a"
    )
    *_, made, env, options = run_cells(
        "import nbactors as ray; ray.init(resources={'disk': 2}); name = 'keeper'",
        f"{line}\nimport os\nclass A:"
        "\n    def env(self):\n        return *map(os.environ.get, ('MODE', 'LEVEL')), os.getcwd()",
        "ray.get(a.env.remote())",
        "print(a._meta.groups, a._meta.in_order, a._meta.max_pending_calls, ray.available_resources()['disk']); "
        "ray.kill(ray.get_actor('keeper', namespace='there'))",
    )
    assert made.ok, made.output
    assert "('a b', '2', '/')" in env.output
    assert options.output.splitlines()[0] == "('io', 'net') False 10 1.0"


def test_labels_choose_the_node_or_a_fallback() -> None:
    made, got = run_cells(
        "import nbactors as ray; ray.init(labels={'zone': 'b'})",
        "%%actor --label-selector zone=a --fallback-strategy zone=b placed"
        "\nclass A:\n    def get(self):\n        return 7",
        "ray.get(placed.get.remote(), timeout=30)",
    )[1:]
    assert made.ok, made.output
    assert "7" in got.output


def test_every_option_of_actors_has_its_flag() -> None:
    shown = run_cells("%%actor?")[0].output
    flags = {
        "concurrency_groups": "--concurrency-group ",
        "resources": "--resource ",
        "runtime_env": "--env ",
        "allow_out_of_order_execution": "--allow-out-of-order-execution",
    }
    for option in set(FOR_ACTORS) - {
        "enable_task_events",
        "_labels",
    }:  # the first one changes nothing, the other is private
        assert flags.get(option, f"--{option.replace('_', '-')}") in shown


def test_unloading_the_extension_removes_the_magics() -> None:
    before, unload, magic, after, again, _ = run_cells(
        "shell = get_ipython(); kind = type(shell.inspector); len(shell.Completer.custom_matchers)",
        "%unload_ext nbactors",
        "%actors",
        "len(shell.Completer.custom_matchers), type(shell.inspector) is kind, shell.find_cell_magic('actor')",
        "%load_ext nbactors\nlen(shell.Completer.custom_matchers), type(shell.inspector).__mro__[1] is kind.__mro__[1]",
        "%actors",
    )
    assert unload.output == ""
    assert "not found" in magic.output
    matchers = int(before.output.split()[-1])
    assert f"({matchers - 3}, False, None)" in after.output
    assert f"({matchers}, True)" in again.output


def test_unloading_the_extension_leaves_a_running_session_its_hooks() -> None:
    _, _, help_text, load = run_cells(
        "%%actor c\nclass C:\n    def add(self, number: int): 'Adds.'",
        "%unload_ext nbactors",
        "c.add.remote?",
        "%load_ext nbactors",
    )
    assert "Adds." in help_text.output
    assert load.ok
