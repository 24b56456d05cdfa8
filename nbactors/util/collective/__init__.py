"""Ray's collective communication between actors: refused. The module is there, so that programs can import it."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "allgather",
    "allgather_multigpu",
    "allreduce",
    "allreduce_multigpu",
    "barrier",
    "broadcast",
    "broadcast_multigpu",
    "create_collective_group",
    "destroy_collective_group",
    "get_collective_group_size",
    "get_group_handle",
    "get_rank",
    "gloo_available",
    "init_collective_group",
    "is_backend_available",
    "is_group_initialized",
    "nccl_available",
    "recv",
    "recv_multigpu",
    "reduce",
    "reduce_multigpu",
    "reducescatter",
    "reducescatter_multigpu",
    "register_collective_backend",
    "send",
    "send_multigpu",
]


def nccl_available() -> bool:
    """Return False: there are no groups here, over NCCL or otherwise."""
    return False


def gloo_available() -> bool:
    """Return False: there are no groups here, over Gloo or otherwise."""
    return False


def is_group_initialized(group_name: str) -> bool:
    """Return False: there are no groups here."""
    del group_name
    return False


def is_backend_available(backend: str) -> bool:
    """Return False: there are no groups here, over any backend."""
    del backend
    return False


def _refusal(name: str) -> Any:
    def refuse(*args: Any, **options: Any) -> NoReturn:
        raise NotImplementedError(
            f"{name}(): nbactors has no collective communication. Use torch.distributed between the actors, with "
            "nbactors.util.get_node_ip_address() as its master address, or pass values through an actor."
        )

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Refuse. Raises NotImplementedError always, with what to do instead."
    return refuse


allgather = _refusal("allgather")
allgather_multigpu = _refusal("allgather_multigpu")
allreduce = _refusal("allreduce")
allreduce_multigpu = _refusal("allreduce_multigpu")
barrier = _refusal("barrier")
broadcast = _refusal("broadcast")
broadcast_multigpu = _refusal("broadcast_multigpu")
create_collective_group = _refusal("create_collective_group")
destroy_collective_group = _refusal("destroy_collective_group")
get_collective_group_size = _refusal("get_collective_group_size")
get_group_handle = _refusal("get_group_handle")
get_rank = _refusal("get_rank")
init_collective_group = _refusal("init_collective_group")
recv = _refusal("recv")
recv_multigpu = _refusal("recv_multigpu")
reduce = _refusal("reduce")
reduce_multigpu = _refusal("reduce_multigpu")
reducescatter = _refusal("reducescatter")
reducescatter_multigpu = _refusal("reducescatter_multigpu")
register_collective_backend = _refusal("register_collective_backend")
send = _refusal("send")
send_multigpu = _refusal("send_multigpu")
