"""Nothing of Jupyter is needed, nor loaded, by scripts: neither in the session nor in its workers."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys

import pytest

JUPYTER = ("IPython", "ipykernel", "ipywidgets", "traitlets", "jupyter_client", "jupyter_core", "comm", "matplotlib")

WITHOUT_JUPYTER = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {JUPYTER}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""

PROGRAM = """
import nbactors as ray
from nbactors.util import calls, state

@ray.remote
class Counter:
    def add(self, x):
        import sys
        return x + 1, [name for name in JUPYTER if name in sys.modules]
    async def later(self):
        return 2
    def each(self):
        yield 3

@ray.remote
def double(x):
    return 2 * x

counter = Counter.options(name="counter").remote()
assert ray.get(counter.add.remote(0)) == (1, []), "a worker has loaded something of Jupyter"
assert ray.get([counter.later.remote(), double.remote(2)]) == [2, 4]
assert [ray.get(ref) for ref in counter.each.remote()] == [3]
assert calls.pending_calls() == [] and calls.cancel_all() == 0
assert state.list_actors()[-1]["class_name"] == "Counter"
assert ray.util.list_named_actors() == ["counter"]
for thing in (counter, Counter, double, ray.put(1)):
    assert set(thing._repr_mimebundle_()) == {"text/plain", "text/html"}
ray.shutdown()
import sys
print([name for name in JUPYTER if name in sys.modules])
"""


@pytest.mark.slow
@pytest.mark.parametrize("before", [WITHOUT_JUPYTER, ""], ids=["absent", "installed"])
def test_a_script_runs_and_loads_nothing_of_jupyter(before: str) -> None:
    program = f"{before}\nJUPYTER = {JUPYTER}\n{PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_only_the_extra_asks_for_jupyter() -> None:
    asked = importlib.metadata.requires("nbactors") or []
    of_all = {re.split(r"[ <>=;\[]", line)[0] for line in asked if "extra ==" not in line}
    of_jupyter = {re.split(r"[ <>=;\[]", line)[0] for line in asked if re.search(r"extra == ['\"]jupyter['\"]", line)}
    assert of_all == {"msgspec", "cloudpickle", "pathspec", "psutil", "setproctitle", "click"}
    assert {"ipykernel", "ipywidgets"} <= of_jupyter


PLAIN_IPYTHON = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ipykernel", "ipywidgets", "jupyter_client", "comm"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())

from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in (
    "%load_ext nbactors",
    "%%actor --args 5 counter\\nclass Counter:\\n    def __init__(self, n):\\n        self.n = n\\n"
    "    def get(self):\\n        return self.n",
    "import nbactors; assert nbactors.get(counter.get.remote()) == 5",
    "%actors",
    "%kill counter",
    "nbactors.shutdown()",
):
    shell.run_cell(cell).raise_error()
"""


@pytest.mark.slow
def test_the_magics_need_ipython_alone() -> None:
    command = [sys.executable, "-c", PLAIN_IPYTHON]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "alive" in done.stdout
    assert "Killed counter" in done.stdout
