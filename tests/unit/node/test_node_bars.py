"""The node passes bars on to the session that shows them, and ends those of a worker that dies."""

from __future__ import annotations

import pytest

from nbactors.local.node.rules.bars import MAX_OPEN, Bars
from nbactors.local.node.rules.context import Context, Facts
from nbactors.local.node.rules.events import Send
from nbactors.local.node.rules.gpus import GpuBank, SessionGpus
from nbactors.local.node.rules.queue import PlacementQueue
from nbactors.local.node.rules.records import Process, Session, Worker
from nbactors.local.node.rules.resources import Pool
from nbactors.local.wire import messages

JOB = 3
DRIVER, WORKER = 5, 6


class Node:
    def __init__(self) -> None:
        facts = Facts(
            node_id=b"n" * 28,
            pid=1,
            hostname="here",
            directory="/none",
            package_version="0",
            linger_s=1.0,
            cpus=2.0,
            memory=1e9,
            new_id=lambda: b"i" * 16,
            gpus=list,
        )
        self.context = Context(facts)
        pool = Pool({"CPU": 2.0}, SessionGpus(GpuBank(), {}))
        driver = Process(process_id=b"d" * 16, conn=DRIVER, pid=2, role="session")
        self.session = Session(
            plain=1,
            job_id=JOB.to_bytes(4, "little"),
            driver=driver,
            namespace="space",
            environment=1,
            pool=pool,
            queue=PlacementQueue(),
            log_to_driver=True,
            graceful_shutdown_s=1.0,
            opened=messages.OpenSession(
                0, "space", messages.Environment(b"", [], [], b"", {}), 2.0, 0.0, 0.0, 0.0, {}, True, 1.0
            ),
        )
        self.context.sessions[self.session.job_id] = self.session
        self.worker = Worker(
            process_id=b"w" * 16, conn=WORKER, pid=7, role="worker", home=self.session, label="Trainer"
        )
        self.bars = Bars(self.context)

    def report(self, bar: str, n: float, closed: bool = False, job: int = JOB) -> None:
        self.bars.report(
            self.worker,
            messages.Bar(job << 32 | 4, bar, "epochs", n, 10.0, "it", 0, 1.0, 1.0, "", closed, False, ""),
        )

    def sent(self) -> list[messages.Bar]:
        out, self.context.out = self.context.out, []
        assert all(isinstance(order, Send) and order.conn == DRIVER for order in out)
        return [order.message for order in out]  # type: ignore[union-attr, misc]


@pytest.fixture
def node() -> Node:
    return Node()


def test_the_node_adds_the_worker_to_a_bar(node: Node) -> None:
    node.report("a", 1)
    (sent,) = node.sent()
    assert (sent.process_id, sent.pid, sent.label, sent.n) == (b"w" * 16, 7, "Trainer", 1)


def test_a_bar_of_a_closed_session_is_not_sent(node: Node) -> None:
    node.report("a", 1, job=JOB + 1)
    node.session.is_open = False
    node.report("a", 2)
    assert node.sent() == []


def test_open_bars_end_when_their_worker_dies(node: Node) -> None:
    node.report("a", 3)
    node.report("b", 5)
    node.report("b", 10, closed=True)
    node.sent()
    node.bars.end_of(node.worker)
    (end,) = node.sent()
    assert (end.bar, end.n, end.closed, end.leave, end.failed) == ("a", 3, True, True, "its process has ended")
    node.bars.end_of(node.worker)
    assert node.sent() == []


def test_open_bars_are_listed_in_the_order_in_which_they_have_begun(node: Node) -> None:
    for bar, n in (("outer", 0), ("inner", 1), ("done", 1), ("outer", 1), ("inner", 2)):
        node.report(bar, n)
    node.report("done", 2, closed=True)
    assert [(bar.bar, bar.n, bar.pid) for bar in node.bars.open()] == [("outer", 1, 7), ("inner", 2, 7)]


def test_the_number_of_remembered_bars_is_bounded(node: Node) -> None:
    for number in range(MAX_OPEN + 10):
        node.report(str(number), 1)
    node.sent()
    node.bars.end_of(node.worker)
    ended = node.sent()
    assert len(ended) == MAX_OPEN
    assert ended[0].bar == "10"
