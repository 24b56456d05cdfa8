"""The memory that the cgroup of a process allows, in trees of files as Linux and containers make them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbactors.local import cgroups

MIB = 1 << 20


class Tree:
    """What a process sees of its cgroups.

    Args:
        path: Has the files of /proc/self and of /sys/fs/cgroup.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mounts = ["31 23 0:28 / /proc rw - proc proc rw"]
        (path / "proc").mkdir()
        (path / "sys").mkdir()

    def belongs(self, *lines: str) -> None:
        """Set the content of /proc/self/cgroup."""
        (self._path / "proc" / "cgroup").write_text("".join(f"{line}\n" for line in lines))

    def mount(self, kind: str, options: str = "rw", root: str = "/", place: str = "sys") -> None:
        """Add a line to /proc/self/mountinfo."""
        at = str(self._path / place).replace(" ", "\\040")
        self._mounts.append(f"32 31 0:29 {root} {at} rw,relatime shared:9 - {kind} {kind} {options}")
        (self._path / "proc" / "mountinfo").write_text("".join(f"{line}\n" for line in self._mounts))

    def limit(self, place: str, text: str | int, name: str = "memory.max") -> None:
        """Write a limit."""
        directory = self._path / place
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(f"{text}\n")

    def memory(self) -> int | None:
        """Return the memory in MiB, None for that of the machine."""
        found = cgroups.memory()
        return None if found > 1 << 29 else int(found) // MIB


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setattr(cgroups, "_PROC", str(tmp_path / "proc"))
    monkeypatch.setattr(cgroups, "_CGROUP", str(tmp_path / "sys"))
    return Tree(tmp_path)


V1 = "memory.limit_in_bytes"


def test_without_cgroups_the_machine_s_memory_counts(tree: Tree) -> None:
    assert tree.memory() is None
    tree.belongs("nonsense", "0:")
    assert tree.memory() is None


def test_a_limit_of_version_2_counts(tree: Tree) -> None:
    tree.mount("cgroup2")
    tree.belongs("0::/user.slice/job")
    tree.limit("sys/user.slice/job", 100 * MIB)
    assert tree.memory() == 100
    tree.limit("sys/user.slice/job", "max")
    assert tree.memory() is None


def test_a_limit_of_version_1_counts(tree: Tree) -> None:
    tree.mount("cgroup", "rw,cpu,cpuacct", place="sys/cpu")
    tree.mount("cgroup", "rw,memory", place="sys/memory")
    tree.belongs("5:cpu,cpuacct:/other", "4:memory:/job", "0::/")
    tree.limit("sys/memory/job", 120 * MIB, V1)
    tree.limit("sys/cpu/other", 10 * MIB, V1)
    assert tree.memory() == 120
    tree.limit("sys/memory/job", (1 << 63) - 4096, V1)
    assert tree.memory() is None, "this is how version 1 writes no limit"


@pytest.mark.parametrize("version", [1, 2])
def test_the_least_limit_of_nested_cgroups_counts(tree: Tree, version: int) -> None:
    base, name = ("sys/memory", V1) if version == 1 else ("sys", "memory.max")
    tree.mount("cgroup" if version == 1 else "cgroup2", "rw,memory", place=base)
    tree.belongs("4:memory:/a/b/c" if version == 1 else "0::/a/b/c")
    tree.limit(f"{base}/a/b/c", 300 * MIB, name)
    tree.limit(f"{base}/a", 200 * MIB, name)
    tree.limit(f"{base}/a/b/sibling", 1 * MIB, name)
    assert tree.memory() == 200
    tree.limit(base, 150 * MIB, name)
    assert tree.memory() == 150


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_s_cgroup_that_is_mounted_as_the_root_counts(tree: Tree, version: int) -> None:
    """The path is the host's, and the files of the container's cgroup are at the mount."""
    base, name = ("sys/memory", V1) if version == 1 else ("sys", "memory.max")
    tree.mount("cgroup" if version == 1 else "cgroup2", "rw,memory", root="/docker/abc", place=base)
    tree.belongs("4:memory:/docker/abc" if version == 1 else "0::/docker/abc")
    tree.limit(base, 130 * MIB, name)
    assert tree.memory() == 130
    prefix = "4:memory:" if version == 1 else "0::"
    tree.belongs(f"{prefix}/docker/abc/inner")
    tree.limit(f"{base}/inner", 50 * MIB, name)
    assert tree.memory() == 50, "a cgroup that was made in the container"
    tree.belongs(f"{prefix}/docker/abcdef/inner")
    assert tree.memory() == 130, "the mount is another container's"


def test_a_container_with_a_namespace_of_its_own_sees_its_cgroup_as_the_root(tree: Tree) -> None:
    tree.mount("cgroup2", root="/../../..")
    tree.belongs("0::/")
    tree.limit("sys", 140 * MIB)
    assert tree.memory() == 140
    tree.belongs("0::/../other")
    assert tree.memory() == 140


def test_the_memory_controller_of_version_1_beside_a_tree_of_version_2_counts(tree: Tree) -> None:
    tree.mount("cgroup2", place="sys/unified")
    tree.mount("cgroup", "rw,memory", place="sys/memory")
    tree.belongs("4:memory:/job", "0::/job")
    tree.limit("sys/memory/job", 90 * MIB, V1)
    assert tree.memory() == 90


def test_a_tree_at_an_unusual_place_counts(tree: Tree) -> None:
    tree.mount("cgroup2", place="my cgroups")
    tree.belongs("0::/job")
    tree.limit("my cgroups/job", 80 * MIB)
    assert tree.memory() == 80


def test_without_a_list_of_mounts_the_usual_places_count(tree: Tree) -> None:
    tree.belongs("4:memory:/job", "0::/job")
    tree.limit("sys/memory/job", 70 * MIB, V1)
    assert tree.memory() == 70
    tree.limit("sys/job", 60 * MIB)
    assert tree.memory() == 60
