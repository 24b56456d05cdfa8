"""Each program prints on nbactors what it prints on real Ray."""

from __future__ import annotations

from pathlib import Path

import pytest

from programs import running


@pytest.mark.slow
@pytest.mark.timeout(3 * running.TIMEOUT_S)
@pytest.mark.parametrize("name", running.programs())
def test_a_program_for_ray_prints_the_same(name: str, has_ray: bool, tmp_path: Path) -> None:
    version, stored = running.stored(name)
    if has_ray:
        assert running.run(name, "ray", tmp_path) == stored, f"stored from Ray {version}: run scripts/programs-ray"
    assert running.run(name, "local", tmp_path) == stored


def test_the_imports_are_all_that_is_changed_for_nbactors() -> None:
    for name in running.programs():
        ours, theirs = running.source(name, "local").splitlines(), running.source(name, "ray").splitlines()
        changed = [theirs[number] for number, line in enumerate(ours) if line != theirs[number]]
        assert len(ours) == len(theirs)
        assert "import ray" in changed
        assert all(line == "import ray" or line.startswith("from ray") for line in changed)


def test_each_stored_output_names_rays_version_and_belongs_to_a_program() -> None:
    names = sorted(path.stem for path in running.OUTPUTS.glob("*.txt"))
    assert names == running.programs()
    assert all(running.stored(name)[0].startswith("2.") for name in names)
