"""An engine that runs nothing and keeps what it was asked: for tests of what stands above the seam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbactors.engine import ActorLink, Engine, RuntimeFacts
from nbactors.exceptions import RaySystemError
from nbactors.object_ref import ObjectRef
from nbactors.views.summaries import StoreFacts


class Entry:
    """Of a reference to nothing."""

    def __init__(self, number: int) -> None:
        self.id = number.to_bytes(28, "big")

    def reduce(self, ref: ObjectRef[Any]) -> tuple[Any, ...]:
        return make_ref, (int.from_bytes(self.id, "big"),)


def make_ref(number: int) -> ObjectRef[Any]:
    return ObjectRef(Entry(number))


class RecordingLink(ActorLink):
    """Keeps the calls."""

    __slots__ = ("calls",)

    def __init__(self, actor_id: bytes) -> None:
        self.actor_id = actor_id
        self.calls: list[tuple[Any, ...]] = []

    def call(self, method: Any, args: Any, kwargs: Any, options: Any, hold: object = None) -> Any:
        self.calls.append((method.name, args, kwargs, options))
        return make_ref(len(self.calls))

    def reduce(self, meta: Any, hold: object = None) -> tuple[Any, ...]:
        return rebuild, (self.actor_id, meta)


def rebuild(actor_id: bytes, meta: Any) -> Any:
    from nbactors.actor import ActorHandle

    return ActorHandle(RecordingLink(actor_id), meta)


class RecordingEngine(Engine):
    """Current while a test of the API runs."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.named: dict[str, tuple[ActorLink, Any]] = {}
        self.stores: tuple[StoreFacts, StoreFacts | None] | None = (StoreFacts(limit=1 << 30), None)
        self.facts = RuntimeFacts(b"\1" * 28, b"\2" * 4, b"\3" * 16, "space", is_driver=True)

    @property
    def namespace(self) -> str:
        return "space"

    def put(self, value: Any) -> ObjectRef[Any]:
        self.asked.append(("put", value))
        return make_ref(len(self.asked))

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        self.asked.append(("get", list(refs), timeout))
        return [ref.hex() for ref in refs]

    def get_one(self, ref: ObjectRef[Any], timeout: float | None) -> Any:
        self.asked.append(("get", [ref], timeout))
        return ref.hex()

    def wait(self, refs: Any, num_returns: int, timeout: float | None, fetch_local: bool) -> Any:
        self.asked.append(("wait", refs, num_returns, timeout, fetch_local))
        return refs[:num_returns], refs[num_returns:]

    def create_actor(self, meta: Any, cls: type, options: Any, args: Any, kwargs: Any) -> Any:
        self.asked.append(("create_actor", cls, options, args, kwargs))
        link = RecordingLink(len(self.asked).to_bytes(16, "big"))
        if options.name:
            self.named[options.name] = link, meta
        return link, meta, None

    def submit_task(self, function: Any, args: Any, kwargs: Any, options: Any) -> Any:
        self.asked.append(("submit_task", function.function, args, kwargs, options))
        return make_ref(len(self.asked))

    def cancel(self, ref: ObjectRef[Any], force: bool, recursive: bool, interrupt: bool) -> None:
        self.asked.append(("cancel", ref, force, recursive, interrupt))

    def pending_calls(self) -> list[Any]:
        return []

    def cancel_all(self, force: bool, interrupt: bool) -> int:
        self.asked.append(("cancel_all", force, interrupt))
        return 2

    def kill(self, link: Any, no_restart: bool) -> None:
        self.asked.append(("kill", link, no_restart))

    def get_actor(self, name: str, namespace: str | None, *, weak: bool = True) -> Any:
        if name not in self.named:
            raise ValueError(f"Failed to look up actor with name '{name}'.")
        return *self.named[name], None

    def current_actor(self) -> Any:
        raise RuntimeError("no actor")

    def exit_actor(self) -> None:
        self.asked.append(("exit_actor",))

    def list_named_actors(self, all_namespaces: bool) -> list[tuple[str, str]]:
        return [("space", name) for name in self.named]

    def list_actors(self) -> list[dict[str, Any]]:
        return []

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 1.0}

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": "01" * 28, "Alive": True}]

    def object_store(self) -> tuple[StoreFacts, StoreFacts | None]:
        if self.stores is None:
            raise RaySystemError("the node is gone")
        return self.stores

    def runtime_facts(self) -> RuntimeFacts:
        return self.facts

    def describe(self) -> dict[str, Any]:
        return {
            "namespace": "space",
            "node_pid": 7,
            "resources": {"CPU": 2.0, "memory": 1.5 * (1 << 30), "node:a": 1.0},
            "directory": "<tmp>",
        }

    def shutdown(self) -> None:
        self.asked.append(("shutdown",))
