"""Ray's collective communication between actors: refused. The module is there, so that programs can import it."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "allgather",
    "allreduce",
    "barrier",
    "broadcast",
    "create_collective_group",
    "destroy_collective_group",
    "get_collective_group_size",
    "get_rank",
    "gloo_available",
    "init_collective_group",
    "is_group_initialized",
    "nccl_available",
    "recv",
    "reduce",
    "reducescatter",
    "send",
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
allreduce = _refusal("allreduce")
barrier = _refusal("barrier")
broadcast = _refusal("broadcast")
create_collective_group = _refusal("create_collective_group")
destroy_collective_group = _refusal("destroy_collective_group")
get_collective_group_size = _refusal("get_collective_group_size")
get_rank = _refusal("get_rank")
init_collective_group = _refusal("init_collective_group")
recv = _refusal("recv")
reduce = _refusal("reduce")
reducescatter = _refusal("reducescatter")
send = _refusal("send")
