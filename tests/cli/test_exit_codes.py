"""The documents about the command line tell what it does."""

from __future__ import annotations

from pathlib import Path

from nbactors.cli import exit_codes
from nbactors.cli.group import main

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "cli.md").read_text()


def test_the_exit_codes_are_documented() -> None:
    for code, meaning in exit_codes.MEANINGS.items():
        assert f"| {code} | {meaning} |\n" in DOCS


def test_every_command_is_documented() -> None:
    for command in main.commands or main.list_commands(None):  # type: ignore[arg-type]
        assert f"\n    nbactors {command}" in DOCS
        assert f"nbactors {command}" in (ROOT / "README.md").read_text()
