"""The preflight: what the nodes of a real cluster say of themselves."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from nbactors.testing import eventually


@pytest.fixture
def address(fresh: Any) -> Iterator[str]:
    """The address of a cluster of two nodes."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=2, resources={"gadget": 1})
    yield cluster.address
    fresh.shutdown()
    cluster.shutdown()


def test_the_doctor_asks_each_node(address: str) -> None:
    from nbactors.cli.group import main

    result = CliRunner().invoke(main, ["doctor", "--cluster", address])
    assert result.exit_code == 0, result.output
    assert "2 nodes have answered" in result.output
    assert platform.python_version() in result.output


def test_the_doctor_is_told_at_once_that_nothing_listens() -> None:
    from nbactors.cli.group import main

    result = CliRunner().invoke(main, ["doctor", "--cluster", "127.0.0.1:1"])
    assert result.exit_code == 1, result.output
    assert "no Ray cluster answers at '127.0.0.1:1'" in " ".join(result.output.split())


def test_a_session_joins_the_cluster_and_runs_on_both_nodes(fresh: Any, address: str) -> None:
    fresh.init(address)

    @fresh.remote(num_cpus=1)
    class Where:
        def node(self) -> str:
            import nbactors

            print("here")
            return str(nbactors.get_runtime_context().get_node_id())

    there = Where.options(resources={"gadget": 1}).remote()
    here = Where.remote()
    nodes = fresh.get([there.node.remote(), here.node.remote()], timeout=120)
    assert nodes[0] in {node["NodeID"] for node in fresh.nodes()}
    assert len(fresh.nodes()) == 2


def test_a_wrong_address_is_told_at_once(fresh: Any) -> None:
    with pytest.raises(fresh.exceptions.RaySystemError, match=r"no Ray cluster answers at '127.0.0.1:1'"):
        fresh.init("127.0.0.1:1")


def test_an_actor_for_which_no_node_is_large_enough_is_told_of_once(
    ray: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    @ray.remote(num_gpus=2, resources={"widget": 1})
    class Large:
        def get(self) -> int:
            return 1

    waiting = [Large.remote() for _ in range(2)]
    told = ""

    def is_told() -> bool:
        nonlocal told
        told += capsys.readouterr().err
        return "GPU" in told

    eventually(is_told, timeout_s=30)
    assert told.count("Large waits: 2 GPU for one actor or task never fit: the largest node has 0") == 1
    assert "ask for at most 0, or add a larger node" in told
    assert len(waiting) == 2


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, {"CPU": 1.0}),
        ({"num_cpus": 0}, {}),
        ({"num_cpus": 2, "num_gpus": 0.5, "resources": {"widget": 1}}, {"CPU": 2.0, "GPU": 0.5, "widget": 1.0}),
        ({"memory": 1 << 30, "accelerator_type": "A100"}, {"CPU": 1, "memory": 1 << 30, "accelerator_type:A100": 1e-3}),
    ],
)
def test_what_options_ask_for(options: dict[str, Any], wanted: dict[str, float]) -> None:
    from nbactors.cluster.wanted import amounts

    assert amounts(options) == wanted
