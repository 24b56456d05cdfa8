"""A runtime_env: how it is checked, what it means, and what makes two of them differ."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nbactors.runtime_env import RuntimeEnv, RuntimeEnvConfig
from nbactors.runtime_env.requirements import Requirements
from nbactors.runtime_env.worker_setup import WorkerSetup


def hook() -> None:
    pass


def required(**fields: Any) -> Requirements:
    """What a runtime_env with these entries installs."""
    setup = WorkerSetup.parse(fields)
    assert setup is not None
    assert setup.requirements is not None
    return setup.requirements


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"pip": 3}, TypeError, r"runtime_env\['pip'\] must be of type List\[str\], a path or a dict, got int"),
    ({"uv": [3]}, TypeError, r"must be of type List\[str\], but 3"),
    ({"pip": ["a"], "uv": ["a"]}, ValueError, "cannot be specified at the same time"),
    ({"pip": "/nowhere.txt"}, ValueError, r"/nowhere.txt is not a valid file.*give a list: \[\"/nowhere.txt\"\]"),
    ({"pip": {"package": ["a"]}}, ValueError, r"\['package'\] is not served. Valid keys are \['packages', 'pip_check'"),
    ({"uv": {"pip_check": True, "packages": []}}, ValueError, r"\['pip_check'\] is not served.*uv_check"),
    ({"pip": {"pip_check": True}}, ValueError, "must include the field 'packages'"),
    ({"pip": {"packages": ["a"], "pip_check": 1}}, TypeError, r"\['pip_check'\] must be of type bool"),
    ({"pip": {"packages": ["a"], "pip_version": 24}}, TypeError, r"\['pip_version'\] must be of type str"),
    ({"pip": {"packages": ["a"], "pip_install_options": "-v"}}, TypeError, "pip_install_options"),
    ({"pip": ["a\0"]}, ValueError, "zero byte"),
    ({"conda": "base"}, ValueError, "conda environments are whole interpreters.*kernel"),
    ({"image_uri": "x"}, ValueError, "inside the container"),
    ({"unheard_of": 1}, ValueError, "this version does not know it. Valid keys"),
    ({"excludes": "*.txt"}, TypeError, "must be of type"),
    ({"config": 3}, TypeError, "must be of type dict or RuntimeEnvConfig"),
    ({"config": {"timeout": 3}}, ValueError, r"\['timeout'\] is not served"),
    ({"config": {"setup_timeout_seconds": 0}}, ValueError, "must be greater than zero"),
    ({"config": {"setup_timeout_seconds": "1"}}, TypeError, "must be a number of seconds"),
    ({"worker_process_setup_hook": 3}, TypeError, "a function without parameters or its dotted name"),
    ({"worker_process_setup_hook": "hook"}, ValueError, "is no dotted name"),
    ({"working_dir": "https://example.org/work.zip"}, ValueError, "is not on this machine. Download it"),
    ({"py_modules": ["s3://bucket/module.zip"]}, ValueError, "is not on this machine. Download it"),
]


@pytest.mark.parametrize(("given", "error", "message"), BAD)
def test_a_wrong_entry_is_refused_with_the_reason(given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        WorkerSetup.parse(given)
    with pytest.raises(error, match=message):
        RuntimeEnv(**given)


def test_entries_that_ask_for_nothing_are_accepted() -> None:
    nothing = {"conda": None, "excludes": ["*.csv"], "pip": [], "config": {"eager_install": False}, "env_vars": {}}
    assert WorkerSetup.parse(nothing) is None
    assert WorkerSetup.parse(RuntimeEnv(conda=None)) is None


def test_the_public_classes_are_dicts_as_in_ray() -> None:
    env = RuntimeEnv(pip=["a"], env_vars={"A": "1"}, config=RuntimeEnvConfig(setup_timeout_seconds=5))
    assert env == {
        "pip": ["a"],
        "env_vars": {"A": "1"},
        "config": {"setup_timeout_seconds": 5, "eager_install": True, "log_files": []},
    }
    assert type(env.to_dict()) is type(RuntimeEnvConfig().to_dict()) is dict
    setup = WorkerSetup.parse(env)
    assert setup is not None
    assert setup.timeout_s == 5.0
    with pytest.raises(ValueError, match="must be greater than zero"):
        RuntimeEnvConfig(setup_timeout_seconds=-2)


def test_a_runtime_env_answers_as_in_ray(tmp_path: Path) -> None:
    empty, env = RuntimeEnv(), RuntimeEnv(env_vars={"A": "1"}, working_dir=str(tmp_path), py_modules=[str(tmp_path)])
    assert (empty.env_vars(), empty.working_dir(), empty.working_dir_uri(), empty.py_modules()) == ({}, "", None, [])
    assert not any((empty.has_working_dir(), empty.has_pip(), empty.has_uv(), empty.has_conda()))
    assert not empty.has_py_container()
    assert (empty.pip_config(), empty.uv_config()) == ({}, {})
    assert env.env_vars() == {"A": "1"}
    assert env.has_working_dir()
    assert env.working_dir() == env.working_dir_uri() == str(tmp_path)
    assert env.py_modules() == env.py_modules_uris() == [str(tmp_path)]
    assert (RuntimeEnv(pip=["a"]).pip_config(), RuntimeEnv(uv=["b"]).uv_config()) == (["a"], ["b"])
    copy = RuntimeEnv.deserialize(env.serialize())
    assert type(copy) is RuntimeEnv
    assert copy == env


def test_an_entry_of_a_runtime_env_is_checked_when_it_is_set() -> None:
    env = RuntimeEnv()
    env.set("env_vars", {"A": "1"})
    env["pip"] = ["a"]
    assert env == {"env_vars": {"A": "1"}, "pip": ["a"]}
    with pytest.raises(TypeError, match="env_vars"):
        env["env_vars"] = {"A": 1}
    with pytest.raises(ValueError, match="conda"):
        env.set("conda", "some")
    assert env.env_vars() == {"A": "1"}
    assert env.has_pip()


def test_packages_are_lines_of_a_requirements_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wanted.txt").write_text(
        "# comment\n\na==1\n-r more.txt\n--constraint=limits.txt\n-c https://x/y.txt\n"
    )
    (tmp_path / "more.txt").write_text("b")
    found = required(pip=str(tmp_path / "wanted.txt"))
    assert found.lines == (
        "a==1",
        f"-r {tmp_path}/more.txt",
        f"--constraint {tmp_path}/limits.txt",
        "-c https://x/y.txt",
    )
    assert found.directory == str(tmp_path)
    assert [path for path, _, _ in found.files] == [f"{tmp_path}/more.txt"]
    monkeypatch.chdir(tmp_path)
    assert required(pip=Path("wanted.txt")) == found
    assert required(
        uv={"packages": ["a"], "uv_check": True, "uv_version": "==1", "uv_pip_install_options": ["-v"]}
    ) == (Requirements("uv", ("a",), True, "==1", ("-v",), str(tmp_path)))


def test_what_a_build_writes_into_a_source_tree_makes_no_other_list(tmp_path: Path) -> None:
    (tmp_path / "tree" / "tiny").mkdir(parents=True)
    (tmp_path / "tree" / "tiny" / "__init__.py").touch()
    first = required(pip=[f"{tmp_path}/tree"])
    for made in ("__pycache__/backend.cpython-311.pyc", "build/lib/tiny/__init__.py", "tiny.egg-info/PKG-INFO"):
        path = tmp_path / "tree" / made
        path.parent.mkdir(parents=True)
        path.write_text("made")
    assert required(pip=[f"{tmp_path}/tree"]) == first
    (tmp_path / "tree" / "tiny" / "more.py").touch()
    assert required(pip=[f"{tmp_path}/tree"]) != first


@pytest.mark.parametrize(
    "line", ["{path}", "file://{path}", "tiny @ file://{path}", "tiny@file://{path}", "./tiny.whl", "-e {path}"]
)
def test_a_file_that_has_changed_makes_another_list(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.whl"
    path.write_text("one")
    monkeypatch.chdir(tmp_path)
    lines = [line.format(path=path)]
    before = required(pip=lines)
    assert required(pip=lines) == before
    os.utime(path, ns=(1, 1))
    assert required(pip=lines) != before


def test_a_changed_file_of_a_source_tree_makes_another_list(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    file = tmp_path / "package" / "module.py"
    file.write_text("one")
    before = required(pip=[f"{tmp_path}[extra]"])
    os.utime(file, ns=(1, 1))
    assert required(pip=[f"{tmp_path}[extra]"]) != before


def test_a_changed_archive_makes_another_setup(tmp_path: Path) -> None:
    path = tmp_path / "work.zip"
    path.write_text("one")
    before = WorkerSetup.parse({"working_dir": path})
    os.utime(path, ns=(1, 1))
    assert WorkerSetup.parse({"working_dir": path}) != before


def test_packages_replace_inherited_ones_as_a_whole() -> None:
    pip, uv = WorkerSetup.parse({"pip": ["a"]}), WorkerSetup.parse({"uv": ["b"]})
    assert pip is not None
    assert uv is not None
    made = WorkerSetup(packages="/made", hook=b"outer", timeout_s=3)
    assert uv.over(pip).requirements == uv.requirements
    assert pip.over(made)[3:7] == (pip.requirements, b"outer", 600.0, "")
    assert WorkerSetup(hook=hook).over(made)[3:7] == (None, hook, 600.0, "/made")
    assert made.over(pip).packages == "/made"
    assert made.over(pip).requirements is None
