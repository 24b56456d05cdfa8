"""What does not fit between a driver and a cluster."""

from __future__ import annotations

import pytest

from nbactors.cluster.preflight.fitness import Misfit, Report, misfits

DRIVER = Report("", "3.11.7", "2.60.0", {"numpy": "2.1.0", "scikit-learn": "1.5.0"}, {})


def node(name: str = "10.0.0.1", **changes: object) -> Report:
    fits = Report(name, "3.11.9", "2.60.0", dict(DRIVER.packages), {"CPU": 4.0})
    return fits._replace(**changes)


def test_nodes_that_fit() -> None:
    assert misfits(DRIVER, [node(), node("10.0.0.2")], {}, {"CPU": 4}) == []


def test_another_python_or_ray_is_fatal_and_the_mend_names_the_version() -> None:
    python, ray = misfits(DRIVER, [node(python="3.12.1", ray="2.44.0")], {})
    assert (python.what, python.is_fatal) == ("python", True)
    assert python.text == "Python is 3.11.7 here and 3.12.1 on 10.0.0.1"
    assert ray.mend.endswith("pip install ray==2.44.0")


def test_missing_packages_come_with_the_runtime_env_that_brings_them() -> None:
    (found,) = misfits(DRIVER, [node(), node("10.0.0.2", packages={"numpy": None, "scikit-learn": None})], {})
    assert found == Misfit(
        "package",
        False,
        "this notebook has imported numpy, scikit-learn, which 10.0.0.2 lacks",
        "init(..., runtime_env={'pip': ['numpy==2.1.0', 'scikit-learn==1.5.0']}) brings them",
    )


@pytest.mark.parametrize(
    "env", [{"pip": ["numpy>=2", "scikit_learn"]}, {"uv": {"packages": ["NumPy[all]==2", "scikit-learn ~= 1.5"]}}]
)
def test_what_the_runtime_env_brings_is_not_missing(env: dict[str, object]) -> None:
    assert misfits(DRIVER, [node(packages={})], env) == []


def test_many_nodes_are_counted() -> None:
    lean = [node(f"10.0.0.{index}", packages={"numpy": "2", "scikit-learn": None}) for index in range(5)]
    assert "10.0.0.0, 10.0.0.1, 10.0.0.2 and 2 more lack" in misfits(DRIVER, lean, {})[0].text


def test_amounts_that_never_fit() -> None:
    (found,) = misfits(DRIVER, [node(), node(resources={"CPU": 8.0})], {}, {"CPU": 8, "GPU": 1})
    assert found.text == "1 GPU for one actor or task never fit: the largest node has 0"


def test_amounts_that_fit_no_node_together() -> None:
    nodes = [node(resources={"CPU": 8.0}), node(resources={"CPU": 1.0, "GPU": 1.0})]
    assert misfits(DRIVER, nodes, {}, {"CPU": 1, "GPU": 1}) == []
    (found,) = misfits(DRIVER, nodes, {}, {"CPU": 8, "GPU": 1})
    assert found.text == "no node has 8 CPU and 1 GPU for one actor or task"
