"""What the runtime has from the machine around it, for `nbactors doctor`."""

from __future__ import annotations

from typing import Any

from nbactors import engine

__all__ = ["surroundings"]


def surroundings() -> dict[str, Any]:
    """Return what the runtime has from the machine around it. Starts no node. Blocks for some milliseconds. Any thread.

    Binds a socket in the runtime directory and writes 16 MiB to the directory for spilled values, and removes both.

    Returns:
        - `protocol`; `runtime_directory`, `runtime_directory_problem` (why it cannot be used, empty if it can),
          `runtime_directory_kind` (of file system); `socket_path_bytes` and `socket_path_most`, the length of a
          socket's path and its limit; `dead_sockets`, paths on which no process listens.
        - `cpus`, which a node counts, and `machine_cpus`; `memory` in bytes and `memory_limits` of cgroups, each with
          `directory`, `size` and `version`; `processes`, how many a cgroup allows, 0 for any number.
        - `shared_memory`: bytes for values in shared memory, infinite where they lie in anonymous files; and
          `shared_memory_directory`, where they lie otherwise.
        - `spill`: `path` (empty for none), `in_memory`, `free` bytes, `speed` in bytes per second (0 if not measured),
          `problem` and `kind`.
    """
    return engine.observe().surroundings()
