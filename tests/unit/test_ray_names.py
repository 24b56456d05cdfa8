"""Names that programs for Ray use beside the API, and what is refused with a reason."""

from __future__ import annotations

import inspect
import logging
import pickle

import pytest

import nbactors
from nbactors import cross_language
from nbactors.util import collective


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
        if name in ("nccl_available", "gloo_available", "is_group_initialized"):
            continue
        with pytest.raises(NotImplementedError, match=rf"{name}\(\): nbactors has no collective communication"):
            function([1], group_name="g")
        refused.append(name)
    assert len(refused) == 13
    assert not collective.nccl_available()
    assert not collective.gloo_available()
    assert not collective.is_group_initialized("g")


def test_the_module_of_other_languages_has_the_same_names():
    assert all(getattr(cross_language, name) is getattr(nbactors, name) for name in cross_language.__all__)
