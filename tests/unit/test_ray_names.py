"""Names that programs for Ray use beside the API, and what is refused with a reason."""

from __future__ import annotations

import inspect
import logging
import multiprocessing
import pickle

import pytest

import nbactors
from nbactors import cross_language, util
from nbactors.util import collective
from nbactors.util import multiprocessing as pools


def test_modes_are_numbers():
    assert (nbactors.SCRIPT_MODE, nbactors.WORKER_MODE, nbactors.LOCAL_MODE) == (0, 1, 2)


def test_languages():
    assert [str(language) for language in nbactors.Language] == ["PYTHON", "JAVA", "CPP"]
    assert repr(nbactors.Language.PYTHON) == "PYTHON"
    assert pickle.loads(pickle.dumps(nbactors.Language.JAVA)) is nbactors.Language.JAVA


def test_the_logger_is_the_one_of_the_package():
    assert nbactors.logger is logging.getLogger("nbactors")


def test_the_commit_is_text():
    assert nbactors.__commit__


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nbactors.java_function("io.Demo", "run"), r"java_function\('io.Demo.run'\).*no Java"),
        (lambda: nbactors.java_actor_class("io.Demo"), r"java_actor_class\('io.Demo'\).*no Java"),
        (lambda: nbactors.cpp_function("run"), r"cpp_function\('run'\).*no C\+\+"),
        (lambda: nbactors.client("ray://host:10001"), r"client\('ray://host:10001'\).*call init\(\) instead"),
        (nbactors.client, r"client\(None\).*no Ray Client"),
        (lambda: util.connect("host:10001", secure=True), r"connect\('host:10001'\).*Call init\(\)"),
        (util.disconnect, r"disconnect\(\).*Call shutdown\(\)"),
    ],
)
def test_what_has_no_meaning_here_is_refused(call, text):
    with pytest.raises(NotImplementedError, match=text):
        call()


def test_groups_for_collective_communication_are_refused():
    refused = []
    for name in collective.__all__:
        function = getattr(collective, name)
        assert inspect.getdoc(function)
        assert function.__name__ == name
        if name in ("nccl_available", "gloo_available", "is_group_initialized", "is_backend_available"):
            continue
        with pytest.raises(NotImplementedError, match=rf"{name}\(\): nbactors has no collective communication"):
            function([1], group_name="g")
        refused.append(name)
    assert len(refused) == 22
    assert not collective.nccl_available()
    assert not collective.gloo_available()
    assert not collective.is_backend_available("nccl")
    assert not collective.is_group_initialized("g")


def test_the_module_of_other_languages_has_the_same_names():
    assert all(getattr(cross_language, name) is getattr(nbactors, name) for name in cross_language.__all__)


def test_the_older_name_of_the_debugger() -> None:
    assert util.rpdb.set_trace is util.pdb.set_trace


def test_the_module_of_pools_has_the_queue_of_the_standard_library() -> None:
    assert pools.JoinableQueue is multiprocessing.JoinableQueue


def test_the_module_of_pools_has_the_error_of_a_call() -> None:
    from nbactors.util.multiprocessing.pool import PoolTaskError

    error = KeyError("x")
    assert PoolTaskError(error).underlying is error


def test_an_actor_class_tells_the_class_and_its_options() -> None:
    class Counter:
        pass

    found = nbactors.remote(num_cpus=2, resources={"slot": 1})(Counter).__ray_metadata__
    assert (found.modified_class, found.class_name) == (Counter, "Counter")
    assert (found.num_cpus, found.num_gpus, found.resources) == (2, None, {"slot": 1})
    with pytest.raises(AttributeError, match="class_id"):
        _ = found.class_id


def test_arguments_have_the_names_of_ray() -> None:
    assert nbactors.JobID.from_binary(id_bytes=b"\x03\0\0\0").int() == 3
    assert util.get_node_ip_address(address="8.8.8.8:53") == "127.0.0.1"
    with pytest.raises(ValueError, match="topology_strategy"):
        util.placement_group([{"CPU": 1}], topology_strategy={"ray.io/node-id": "PACK"})
