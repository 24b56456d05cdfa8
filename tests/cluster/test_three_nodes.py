"""Programs of actors on a Ray cluster of three nodes: calls, handles and large values cross nodes, and a node ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nbactors.testing import eventually

LARGE = 8 << 20
"""Bytes of a value that Ray keeps in the store of a node, and moves from there."""

HEALTH = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 10}
"""Has the head notice the death of a node within seconds."""


@pytest.fixture(scope="module")
def cluster(_nbactors: Any) -> Iterator[Any]:
    """A cluster of three nodes, one with each of the resources `first`, `second` and `third`."""
    from ray.cluster_utils import Cluster

    _nbactors.shutdown()
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "resources": {"first": 100}, "_system_config": HEALTH}
    )
    for name in ("second", "third"):
        cluster.add_node(num_cpus=2, resources={name: 100})
    _nbactors.init(cluster.address, namespace="three-nodes")
    yield cluster
    _nbactors.shutdown()
    cluster.shutdown()


@pytest.fixture
def ray(_nbactors: Any, cluster: Any) -> Any:
    """nbactors, with a session on that cluster."""
    return _nbactors


@pytest.fixture
def on(ray: Any) -> Callable[..., Any]:
    """Make an actor on the node that has a resource."""
    cls = _worker()

    def make(resource: str, **options: Any) -> Any:
        return ray.remote(cls).options(resources={resource: 1}, **options).remote()

    return make


def _worker() -> type:
    """Return a plain class, which is pickled by value, so that workers need no path to the tests."""

    class Worker:
        def __init__(self) -> None:
            self.kept: Any = None

        def node(self) -> str:
            import nbactors

            return str(nbactors.get_runtime_context().get_node_id())

        def ask(self, others: list[Any]) -> list[str]:
            import nbactors

            return [self.node(), *nbactors.get([other.node.remote() for other in others])]

        def keep(self, value: Any) -> None:
            self.kept = value

        def give(self) -> Any:
            return self.kept

        def count(self, number: int) -> Any:
            for index in range(number):
                print(f"counts {index}")
                yield bytes([index]) * LARGE

        def make(self, number: int) -> bytes:
            return bytes([number]) * LARGE

        def first_and_size(self, value: bytes) -> tuple[int, int]:
            return value[0], len(value)

        def read(self, refs: list[Any]) -> list[tuple[int, int]]:
            import nbactors

            return [self.first_and_size(value) for value in nbactors.get(refs)]

        def wait(self, mark: str) -> None:
            import time

            Path(mark).touch()
            while True:
                time.sleep(1)

    return Worker


def async_reader() -> type:
    """Return an asyncio class, as `_worker` does."""

    class Reader:
        async def read(self, refs: list[Any]) -> list[Any]:
            import asyncio

            return [(value[0], len(value)) for value in await asyncio.gather(*refs)]

    return Reader


async def all_of(refs: list[Any]) -> list[Any]:
    return list(await asyncio.gather(*refs))


@pytest.fixture
def three(on: Callable[..., Any]) -> list[Any]:
    """Three actors, one on each node."""
    return [on(name) for name in ("first", "second", "third")]


def test_actors_of_three_nodes_call_one_another(ray: Any, three: list[Any]) -> None:
    nodes = ray.get([actor.node.remote() for actor in three])
    assert set(nodes) == {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    seen = ray.get([actor.ask.remote(three[:index]) for index, actor in enumerate(three)])
    assert seen == [[nodes[0]], [nodes[1], nodes[0]], [nodes[2], nodes[0], nodes[1]]]


def test_a_handle_is_passed_on_over_all_nodes(ray: Any, three: list[Any], on: Callable[..., Any]) -> None:
    first, second, third = three
    passed = on("third")
    node = ray.get(passed.node.remote())
    ray.get(first.keep.remote(passed))
    ray.get(second.keep.remote(first.give.remote()))
    del passed
    ray.get(first.keep.remote(None))
    ray.get(third.keep.remote(second.give.remote()))
    ray.get(second.keep.remote(None))
    assert ray.get(ray.get(third.give.remote()).node.remote()) == node


def test_an_actor_is_found_by_its_name_from_each_node(ray: Any, three: list[Any], on: Callable[..., Any]) -> None:
    named = on("second", name="known")
    node = ray.get(named.node.remote())

    def find(actor: Any) -> str:
        import nbactors

        return str(nbactors.get(nbactors.get_actor("known").node.remote()))

    assert ray.get([actor.__ray_call__.remote(find) for actor in three]) == [node] * 3


def test_large_values_go_from_each_node_to_each_other(ray: Any, three: list[Any]) -> None:
    made = [actor.make.remote(index) for index, actor in enumerate(three)]
    put = ray.put(bytes([9]) * LARGE)
    expected = [(0, LARGE), (1, LARGE), (2, LARGE), (9, LARGE)]
    assert ray.get([actor.read.remote([*made, put]) for actor in three]) == [expected] * 3
    assert ray.get([three[0].first_and_size.remote(ref) for ref in (*made, put)]) == expected
    assert [(value[0], len(value)) for value in ray.get([*made, put])] == expected


def test_values_of_other_nodes_are_awaited(ray: Any, three: list[Any]) -> None:
    reader = ray.remote(async_reader()).options(resources={"third": 1}).remote()
    made = [actor.make.remote(index) for index, actor in enumerate(three)]
    small = ray.put(b"\7")
    large = [(0, LARGE), (1, LARGE), (2, LARGE), (7, 1)]
    assert ray.get(reader.read.remote([*made, small]), timeout=60) == large
    made = [actor.make.remote(index) for index, actor in enumerate(three)]
    assert [(value[0], len(value)) for value in asyncio.run(all_of(made))] == large[:3]
    made = [actor.make.remote(index) for index, actor in enumerate(three)]
    assert [ref.future().result(60)[0] for ref in made] == [0, 1, 2]
    made = [actor.make.remote(index) for index, actor in enumerate(three)]
    ray.wait(made, num_returns=3, timeout=60, fetch_local=False)
    assert [(ref.exception(), ref.result()[0]) for ref in made] == [(None, index) for index in range(3)]


def test_a_generator_of_another_node_streams_and_its_output_arrives(
    ray: Any, three: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    from nbactors import engine

    generator = three[2].count.remote(3)
    values = [ray.get(ref) for ref in generator]
    assert [(value[0], len(value)) for value in values] == [(0, LARGE), (1, LARGE), (2, LARGE)]
    ray.get(generator.completed())
    engine.current().catch_up(30)
    shown = capfd.readouterr().out  # once: what another thread writes meanwhile may get lost in it
    assert shown.count("counts") == 3
    assert "Worker" in shown


def test_an_interrupt_reaches_a_method_on_another_node(ray: Any, three: list[Any], tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    waiting = three[1].wait.remote(str(mark))
    eventually(mark.exists, timeout_s=30)
    ray.cancel(waiting, interrupt=True)
    with pytest.raises(ray.exceptions.TaskCancelledError, match="was cancelled"):
        ray.get(waiting, timeout=30)
    assert ray.get(three[1].node.remote(), timeout=30)


def test_the_death_of_a_node_is_the_error_of_its_actors_and_the_others_go_on(
    ray: Any, cluster: Any, three: list[Any], on: Callable[..., Any], tmp_path: Path
) -> None:
    mark = tmp_path / "begun"
    doomed = cluster.add_node(num_cpus=1, resources={"doomed": 100})
    lost = on("doomed")
    running = lost.wait.remote(str(mark))
    eventually(mark.exists, timeout_s=60)
    queued = lost.node.remote()
    cluster.remove_node(doomed, allow_graceful=False)
    for ref in (running, queued):  # of the loss of the connection, or of the node, whichever Ray notices first
        with pytest.raises(ray.exceptions.RayActorError, match=r"node|unavailable"):
            ray.get(ref, timeout=60)

    def is_dead() -> bool:
        try:
            ray.get(lost.node.remote(), timeout=60)
        except ray.exceptions.ActorUnavailableError:
            return False
        except ray.exceptions.ActorDiedError as error:
            return "node" in str(error)
        return False

    eventually(is_dead, timeout_s=60)
    assert len(set(ray.get([actor.node.remote() for actor in three], timeout=60))) == 3


def test_an_actor_is_restarted_on_another_node(ray: Any, cluster: Any, on: Callable[..., Any]) -> None:
    doomed = cluster.add_node(num_cpus=1, resources={"spare": 100})
    actor = on("spare", max_restarts=1, max_task_retries=-1)
    before = ray.get(actor.node.remote(), timeout=60)
    heir = cluster.add_node(num_cpus=1, resources={"spare": 100})
    assert before == doomed.node_id
    cluster.remove_node(doomed, allow_graceful=False)
    # Its process may answer until the head notices the death of the node.
    eventually(lambda: ray.get(actor.node.remote(), timeout=60) == heir.node_id, timeout_s=60)
