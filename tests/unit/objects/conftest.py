"""Fixtures of the unit tests of objects: sessions that borrow from each other."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from members import Session, tied

from nbactors.frontend.interrupts import INTERRUPTS, Interrupts


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session that knows no other."""
    made = Session(tmp_path)
    with tied(made):
        yield made


@pytest.fixture
def _three(tmp_path: Path) -> Iterator[tuple[Session, Session, Session]]:
    made = Session(tmp_path), Session(tmp_path), Session(tmp_path)
    with tied(*made):
        yield made


@pytest.fixture
def owner(_three: tuple[Session, Session, Session]) -> Session:
    """A session whose objects `borrower` and `third` borrow."""
    return _three[0]


@pytest.fixture
def borrower(_three: tuple[Session, Session, Session]) -> Session:
    """A session that can reach `owner` and `third`."""
    return _three[1]


@pytest.fixture
def third(_three: tuple[Session, Session, Session]) -> Session:
    """A session that can reach `owner` and `borrower`."""
    return _three[2]


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    """The handler of SIGINT, installed as in a session."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    INTERRUPTS.install()
    yield INTERRUPTS
    INTERRUPTS.due = INTERRUPTS.is_passing = False
    INTERRUPTS.remove()
    signal.signal(signal.SIGINT, before)
