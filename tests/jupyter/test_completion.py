"""Tab and Shift-Tab in a real kernel, as JupyterLab asks for them: with jedi and without."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

pytestmark = pytest.mark.slow

REPLY_S = 30

SETUP = """
%load_ext nbactors
import nbactors as ray

@ray.remote
class Counter:
    "Counts."
    def __init__(self, start=0, *, limit=None):
        "Begin to count."
        self.value = start
    def add(self, amount, *, times=1):
        "Add some."
        self.value += amount * times
        return self.value
    def reset(self):
        pass

@ray.remote
def double(number, again=False):
    "Twice that."
    return 2 * number

counter = Counter.options(name="keeper").remote()
found = ray.get_actor("keeper")
counters = [Counter.remote()]
ref = counter.add.remote(1)
ray.get(ref)
"""


@pytest.fixture(scope="module")
def client() -> Iterator[BlockingKernelClient]:
    manager = KernelManager()
    manager.start_kernel(env={**os.environ, "JPY_SESSION_NAME": "completion.ipynb"})
    client = manager.client()
    client.session.metadata = {"cellId": "a live front end"}
    client.start_channels()
    try:
        client.wait_for_ready(timeout=REPLY_S)
        run(client, SETUP)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(client: BlockingKernelClient, code: str) -> None:
    reply = client.execute(code, reply=True, timeout=REPLY_S)
    assert reply["content"]["status"] == "ok", reply["content"]


@pytest.fixture(params=[True, False], ids=["jedi", "plain"])
def asked(client: BlockingKernelClient, request: pytest.FixtureRequest) -> BlockingKernelClient:
    run(client, f"%config IPCompleter.use_jedi = {request.param}")
    return client


def complete(client: BlockingKernelClient, code: str) -> list[str]:
    """What the text up to the cursor, marked by | or at the end, would become."""
    before, _, after = code.partition("|")
    content = client.complete(before + after, len(before), reply=True, timeout=REPLY_S)["content"]
    return [before[: content["cursor_start"]] + match for match in content["matches"]]


def inspect(client: BlockingKernelClient, code: str) -> str:
    content: dict[str, Any] = client.inspect(code, reply=True, timeout=REPLY_S)["content"]
    assert content["found"], code
    return re.sub(r"\x1b\[[0-9;]*m", "", content["data"]["text/plain"])


@pytest.mark.parametrize("handle", ["counter", "found", "counters[0]"])
def test_a_handle_completes_its_methods(asked: BlockingKernelClient, handle: str) -> None:
    # IPython 8 adds attributes of anything where it does not know.
    assert {f"{handle}.add", f"{handle}.reset"} <= set(complete(asked, f"{handle}."))
    assert complete(asked, f"x = {handle}.re") == [f"x = {handle}.reset"]


@pytest.mark.parametrize("handle", ["counter", "found", "counters[0]"])
def test_a_method_completes_its_calls(asked: BlockingKernelClient, handle: str) -> None:
    assert {f"{handle}.reset.remote", f"{handle}.reset.options"} <= set(complete(asked, f"{handle}.reset."))
    assert complete(asked, f"ray.get({handle}.add.re") == [f"ray.get({handle}.add.remote"]


@pytest.mark.parametrize(
    ("code", "parameter"),
    [
        ("counter.add.remote(am", "amount="),
        ("ray.get([found.add.remote(5, tim", "times="),
        ("counters[0].add.remote('a ) (', ti", "times="),
        ("Counter.remote(lim", "limit="),
        ("double.remote(1, aga", "again="),
    ],
)
def test_a_call_completes_its_parameters(asked: BlockingKernelClient, code: str, parameter: str) -> None:
    assert code[: re.search(r"\w*$", code).start()] + parameter in complete(asked, code)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("code", "signature", "doc"),
    [
        ("counter.add.remote(", "counter.add.remote(amount, *, times=1)", "Add some."),
        ("counter.add", "counter.add.remote(amount, *, times=1)", "Add some."),
        ("found.add.remote(", "found.add.remote(amount, *, times=1)", "Add some."),
        ("Counter.remote(", "Counter.remote(start=0, *, limit=None)", "Begin to count."),
        ("Counter", "Counter.remote(start=0, *, limit=None)", "Counts."),
        ("double.remote(", "double.remote(number, again=False)", "Twice that."),
        ("double", "double.remote(number, again=False)", "Twice that."),
    ],
)
def test_shift_tab_shows_the_user_s_signature_and_docstring(
    client: BlockingKernelClient, code: str, signature: str, doc: str
) -> None:
    shown = inspect(client, code)
    assert signature in shown
    assert doc in shown
    assert "Any thread" not in shown, "what our own wrapper is documented by"
    assert "nbactors/" not in shown


def test_other_objects_are_inspected_as_ever(client: BlockingKernelClient) -> None:
    assert "Return a new list containing all items" in inspect(client, "sorted(")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("%actors --", ["%actors --all", "%actors --live", "%actors --stacks"]),
        ("%kill kee", ["%kill keeper"]),
        ("%kill coun", ["%kill counter", "%kill counters"]),
        ("%attach ", ["%attach keeper"]),
        ("%attach keeper --na", ["%attach keeper --namespace"]),
        ("%attach keeper --namespace ", ["%attach keeper --namespace completion.ipynb"]),
        ("%cancel r", ["%cancel ref"]),
        ("%cancel --i", ["%cancel --interrupt"]),
        ("%%actor --name|\nclass A: pass", ["%%actor --name", "%%actor --namespace"]),
        ("%%actor --lifetime |\nclass A: pass", ["%%actor --lifetime detached", "%%actor --lifetime non_detached"]),
    ],
)
def test_magics_complete_options_and_names(asked: BlockingKernelClient, code: str, expected: list[str]) -> None:
    assert sorted(complete(asked, code)) == expected


def test_loading_again_doubles_nothing(client: BlockingKernelClient) -> None:
    run(client, "before = len(get_ipython().Completer.custom_matchers)\n%reload_ext nbactors")
    run(client, "assert len(get_ipython().Completer.custom_matchers) == before")
