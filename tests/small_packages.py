"""Packages for tests that install some: tiny wheels, and a source tree whose build a test can watch and hold up."""

from __future__ import annotations

import zipfile
from pathlib import Path

BACKEND = '''
"""A build backend that tells of itself, and waits for leave."""
import os, time, zipfile
HERE = os.path.dirname(os.path.abspath(__file__))

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with open(os.path.join(HERE, "..", "begun"), "a") as file:
        file.write(f"{os.getpid()}\\n")
    while not os.path.exists(os.path.join(HERE, "..", "go")):
        time.sleep(0.02)
    name = "slowpoke-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        wheel.writestr("slowpoke.py", "VERSION = 1\\n")
        facts = "slowpoke-1.0.dist-info/"
        wheel.writestr(facts + "METADATA", "Metadata-Version: 2.1\\nName: slowpoke\\nVersion: 1.0\\n")
        wheel.writestr(facts + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(facts + "RECORD", "")
    return name
'''


def wheel(directory: Path, name: str, version: str = "1.0", source: str = "", requires: str = "") -> Path:
    """Make a wheel with one module of the package's name, whose `VERSION` is the version."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}-{version}-py3-none-any.whl"
    facts = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", source or f"VERSION = {version!r}\n")
        file.writestr(f"{facts}/METADATA", metadata + (f"Requires-Dist: {requires}\n" if requires else ""))
        file.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{facts}/RECORD", "")
    return path


def slow_source(directory: Path) -> Path:
    """Make the source of the package `slowpoke`. Its build appends its pid to `begun` and waits until `go` exists.

    Both files are beside the source, so that they are no part of it.
    """
    source = directory / "slowpoke"
    source.mkdir(parents=True)
    (source / "backend.py").write_text(BACKEND)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "slowpoke"\nversion = "1.0"\n'
    )
    return source
