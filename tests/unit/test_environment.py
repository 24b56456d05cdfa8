"""What a session's workers share with it, and what they are told when it has changed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import monotonic

import pytest

from nbactors import exceptions
from nbactors.exceptions import hints
from nbactors.local.environment import Environment, importable_paths, working_directory
from nbactors.local.membership import Membership
from nbactors.runtime_env.worker_setup import WorkerSetup


def removed() -> str:
    raise FileNotFoundError


def test_the_empty_entry_of_the_path_is_spelled_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/a", Path("/not a text"), "/b"])
    assert importable_paths() == [str(tmp_path), "/a", "/b"]


def test_a_working_directory_that_was_removed_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getcwd", removed)
    monkeypatch.setattr(sys, "path", ["", "/a"])
    assert working_directory() == ""
    assert importable_paths() == ["/a"]


def test_paths_are_told_only_when_they_have_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment = Environment()
    monkeypatch.setattr(sys, "path", ["/a"])
    monkeypatch.chdir(tmp_path)
    assert environment.changed_paths() == ([b"/a"], os.fsencode(tmp_path)), "nothing was told yet"
    environment.tell_paths()
    assert environment.changed_paths() == ([], b"")
    sys.path.append("/b")
    assert environment.changed_paths() == ([b"/a", b"/b"], os.fsencode(tmp_path))
    sys.path.pop()
    assert environment.changed_paths() == ([], b"")
    monkeypatch.chdir("/")
    assert environment.changed_paths() == ([b"/a"], b"/")


def test_the_environment_of_a_session_is_told_with_its_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBACTORS_TEST_VARIABLE", "value")
    environment = Environment()
    told = environment.of_session()
    assert told.cwd == os.fsencode(tmp_path)
    assert told.environ[b"NBACTORS_TEST_VARIABLE"] == b"value"
    assert environment.changed_paths() == ([], b"")


def test_a_worker_is_given_no_runtime_env_if_none_is_asked_for() -> None:
    assert Environment().runtime_env(None) is None


def test_a_worker_is_given_the_inherited_runtime_env_with_that_of_its_options_over_it() -> None:
    environment = Environment()
    environment.inherited = WorkerSetup({"A": "1", "B": "1"}, "/inherited", ("/module",))
    given = environment.runtime_env(WorkerSetup({"B": "2"}, "/own"))
    assert given is not None
    assert given.env_vars == {b"A": b"1", b"B": b"2"}
    assert (given.working_dir, given.py_modules) == (b"/own", [b"/module"])
    inherited = environment.runtime_env(None)
    assert inherited is not None
    assert inherited.working_dir == b"/inherited"


def test_a_member_checks_that_it_has_not_left() -> None:
    membership = Membership()
    membership.check()
    membership.has_left = True
    with pytest.raises(exceptions.RaySystemError, match="was shut down while this thread waited"):
        membership.check()
    membership.forked = True
    with pytest.raises(exceptions.RaySystemError, match="was forked from one with a session"):
        membership.check()


def test_a_handle_of_another_session_says_how_to_go_on() -> None:
    membership = Membership()
    assert "find it with get_actor()" in str(membership.dead_handle_error(b"a" * 16))
    membership.forked = True
    assert hints.FORKED in str(membership.dead_handle_error(b"a" * 16))


def test_a_member_that_was_made_before_its_process_gets_its_place_later() -> None:
    membership = Membership()
    assert (membership.process_id, membership.directory) == (b"", "")
    before = monotonic()
    membership.enter(b"p" * 16, "/node")
    assert (membership.process_id, membership.directory) == (b"p" * 16, "/node")
    assert before <= membership.since <= monotonic()
