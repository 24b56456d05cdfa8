"""`%actors`, `%kill`, `%cancel` and `%attach`, in a real IPython shell."""

from __future__ import annotations

import re

import pytest
from ipython_cells import run_cells

pytestmark = pytest.mark.slow

SETUP = """
import nbactors as ray

ray.init(namespace="here", ignore_reinit_error=True)

@ray.remote(max_concurrency=5)
class Sleeper:
    def count(self):
        for number in range(3):
            yield number
    async def nap(self):
        import asyncio
        await asyncio.sleep(60)

@ray.remote
class Counter:
    def increment(self):
        return 1
"""
NAMED = "keeper = Counter.options(name='keeper', lifetime='detached').remote(); ray.get(keeper.increment.remote())"
END = "ray.kill(ray.get_actor('keeper'))"


def test_the_actors_magic_shows_the_running_actors() -> None:
    _, empty, *_, shown, dead, everything, html = run_cells(
        "",
        "%actors",
        SETUP + NAMED,
        "sleeper = Sleeper.options(num_cpus=0.5).remote(); refs = [sleeper.nap.remote() for _ in range(2)]",
        "ray.get(sleeper.__ray_ready__.remote())",
        "%actors",
        "%kill keeper sleeper",
        "%actors --all",
        "roster = %actors --all\nprint(len(roster) > 1, roster.rows[-1]['class_name'], roster._repr_html_())",
    )
    assert "No actors of this session, and no detached ones." in empty.output
    heads, first, second = shown.output.strip().splitlines()[1:]
    assert re.split(r"\s{2,}", heads)[:5] == ["name", "variable", "class", "state", "pid"]
    assert re.match(r"keeper +keeper +Counter +alive, detached +\d+ +\d+ s +[\d.]+ MiB \(RSS \d+\)", first)
    assert "namespace" not in heads
    assert re.match(
        r"[0-9a-f]{12} +sleeper +Sleeper +alive +\d+ +(\w+ +)?2 +\d+ s +[\d.]+ MiB \(RSS \d+\) +0.5 CPU", second
    )
    assert dead.output.count("Killed") == 2
    assert re.search(r"keeper +keeper +Counter +dead, detached: it was killed by `ray.kill`", everything.output)
    assert re.search(r"sleeper +Sleeper +dead: it was killed by `ray.kill`", everything.output)
    assert max(map(len, everything.output.splitlines())) < 400
    assert html.output.startswith("True Sleeper <style>")
    assert "<script" not in html.output


def test_the_actors_magic_names_the_namespace_of_actors_of_others_only() -> None:
    other = "other = Counter.options(name='far', namespace='there').remote()"
    *_, shown, _ = run_cells(SETUP + NAMED, other, "%actors", f"del other\n{END}")
    heads, near, far = shown.output.strip().splitlines()[1:]
    assert heads.split()[-1] == "namespace"
    assert far.split()[-1] == "there"
    assert near.split()[-1] != "here"


def test_the_actors_magic_starts_no_session() -> None:
    _, started = run_cells("%actors", "import nbactors; nbactors.is_initialized()")
    assert "False" in started.output


def test_the_kill_magic_takes_variables_lists_and_names() -> None:
    _, _, killed, *_, again, left = run_cells(
        SETUP + NAMED,
        "del keeper; one = Counter.remote(); two = [Counter.remote(), Counter.remote()]; "
        "ray.get([a.increment.remote() for a in (one, *two)])",
        "%kill keeper one two",
        "try:\n    ray.get(one.increment.remote())\nexcept ray.exceptions.ActorDiedError:\n    pass",
        "%kill one",
        "%actors",
    )
    lines = killed.output.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == ["Killed keeper", "Killed one", "Killed two", "Killed two"]
    assert "Dead already: one" in again.output
    assert "No actors of this session" in left.output


def test_the_kill_magic_looks_up_all_actors_before_it_kills() -> None:
    _, wrong, alive, _ = run_cells(SETUP + NAMED, "%kill keeper keper", "ray.get(keeper.increment.remote())", END)
    assert wrong.output.strip() == "UsageError: %kill: there is no living actor 'keper'; did you mean keeper?"
    assert alive.ok


def test_the_actors_magic_shows_what_an_actor_needs_that_waits_for_resources() -> None:
    *_, shown = run_cells(
        "import nbactors as ray; ray.init(num_cpus=2)",
        "@ray.remote(num_cpus=2)\nclass Big:\n    pass",
        "first = Big.remote(); ray.get(first.__ray_ready__.remote()); second = Big.remote()",
        "%actors",
    )
    first, second = (line.rstrip() for line in shown.output.splitlines() if " Big " in line)
    assert first.endswith("  2 CPU")
    assert second.endswith("  needs 2 CPU")


def test_the_kill_magic_suggests_only_living_actors() -> None:
    *_, wrong = run_cells(SETUP, "one = Counter.remote(); two = Counter.remote()", "%kill one", "%kill three")
    assert wrong.output.strip() == "UsageError: %kill: there is no living actor 'three'; there are two"


def test_the_cancel_magic_ends_calls_and_says_how_many() -> None:
    *_, all_of, one, generator, again, ended = run_cells(
        SETUP + "sleeper = Sleeper.remote()\ndef ends(refs):\n    for ref in refs:\n        try:\n"
        "            ray.get(ref, timeout=20)\n        except ray.exceptions.TaskCancelledError:\n"
        "            print('ended', end=' ')",
        "refs = [sleeper.nap.remote() for _ in range(4)]",
        "%cancel\nends(refs)",
        "refs = [sleeper.nap.remote() for _ in range(2)]\n%cancel refs\nends(refs)",
        "stream = sleeper.count.options(_generator_backpressure_num_objects=1).remote()\n%cancel stream\n"
        "ends([stream.completed()])",
        "%cancel refs",
        "%cancel",
    )
    assert all_of.output == "Cancelled 4 pending calls of this session\n" + "ended ended ended ended "
    assert one.output == "Cancelled 2 pending calls\nended ended "
    assert generator.output == "Cancelled 1 pending call\nended "
    assert again.output == "Nothing to cancel: all have ended already\n"
    assert ended.output == "No call is pending\n"


HINT = "Plain methods that run already go on; %cancel --interrupt stops them, too\n"


def test_the_cancel_magic_interrupts_plain_methods() -> None:
    *_, cancelled, interrupted = run_cells(
        "import nbactors as ray, threading\n@ray.remote\nclass Sleeper:\n    def sleep(self):\n"
        "        threading.Event().wait(60)",
        "ref = Sleeper.remote().sleep.remote(); ray.wait([ref], timeout=1)",
        "%cancel",
        "%cancel ref --interrupt\ntry:\n    ray.get(ref, timeout=20)\nexcept ray.exceptions.TaskCancelledError:\n"
        "    print('ended')",
    )
    assert cancelled.output == "Cancelled 1 pending call of this session\n" + HINT
    assert interrupted.output == "Cancelled 1 pending call\nended\n"


def test_the_attach_magic_binds_a_named_actor() -> None:
    *_, attached, used, elsewhere, there, taken, _ = run_cells(
        SETUP + "Counter.options(name='my keeper-1', namespace='there', lifetime='detached').remote()",
        NAMED + "\ndel keeper",
        "%attach keeper",
        "ray.get(keeper.increment.remote())",
        "%attach 'my keeper-1'",
        "%attach 'my keeper-1' --namespace there\nray.kill(my_keeper_1)",
        "keeper = 3\n%attach keeper",
        END,
    )
    assert re.match(r"Attached keeper\nActor\(Counter, \w{32}\): alive, pid \d+", attached.output)
    assert used.ok
    assert elsewhere.output.strip() == (
        "UsageError: %attach: there is no living actor 'my keeper-1' in this namespace; say --namespace there"
    )
    assert there.ok, there.output
    assert "the variable keeper holds int already; name another one: %attach keeper VARIABLE" in taken.output


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%kill", "required: NAME|VARIABLE; write %kill [--namespace NAMESPACE] NAME|VARIABLE [NAME|VARIABLE ...]; "),
        ("x = [1]\n%kill x", "there is no living actor 'x'; the variable x holds list"),
        ("%kill 'open", '%kill: "\'open": No closing quotation'),
        ("%cancel absent", "there is no variable 'absent'"),
        ("x = {}\n%cancel x", "x holds dict, neither a reference, nor a generator of references, nor a list"),
        ("%cancel --force --interrupt", "give one of them"),
        ("%attach absent", "there is no living actor 'absent'"),
        ("%attach a 1b", "'1b' is no variable name"),
        ("%attach a --namespace ''", "there is no living actor 'a'"),
        ("%actors --al now", "%actors: unrecognized arguments: now; write %actors [--all] [--stacks] [--live]"),
        ("%actors --stacked", "%actors: unrecognized arguments: --stacked; did you mean --stacks? %actors? lists"),
        ("%actors live", "%actors: unrecognized arguments: live; did you mean --live?"),
    ],
)
def test_a_mistake_is_explained_in_one_line(cell: str, message: str) -> None:
    (failed,) = run_cells(cell)
    assert not failed.ok
    assert failed.output.startswith("UsageError: ")
    assert message in failed.output
    assert len(failed.output.strip().splitlines()) == 1


@pytest.mark.parametrize("magic", ["%actors", "%kill", "%cancel", "%attach", "%%actor"])
def test_every_magic_is_documented(magic: str) -> None:
    (shown,) = run_cells(f"{magic}?")
    assert f"{magic.replace('%%', '%')} [" in shown.output, "IPython itself writes one percent sign for cell magics"
    assert "options:" in shown.output or "positional arguments:" in shown.output


def test_the_magics_leave_no_variable_in_the_notebook() -> None:
    *_, leaked, _ = run_cells(
        SETUP + NAMED,
        "before = set(globals())",
        "%actors\n%cancel\n%attach keeper",
        "sorted(name for name in set(globals()) - before if not name.startswith('_') and name != 'before')",
        END,
    )
    assert leaked.output.strip().endswith("[]")
