"""Builds the compiled part of the package, the files in C in `nbactors/speedups`, where it can be built.

This needs Linux and a C compiler. Without them the wheel is one for any platform, and the package does all by its steps
in Python. So is a wheel that is built with ``NBACTORS_SPEEDUPS=0``. With ``NBACTORS_SPEEDUPS=1``, a failure to compile
fails the build.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext


class CompiledPart(BuildHookInterface):
    """A build hook of hatchling."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile beside the source, and add the library to the wheel. An editable installation finds it there."""
        wanted = os.environ.get("NBACTORS_SPEEDUPS", "")
        if self.target_name != "wheel" or wanted == "0" or sys.platform != "linux":
            return
        try:
            library = self._compile()
        except (Exception, SystemExit) as error:
            if wanted == "1":
                raise
            self.app.display_warning(f"The compiled part of nbactors was not built, so calls take longer: {error}")
            return
        build_data["artifacts"].append(f"/nbactors/speedups/{library.name}")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def _compile(self) -> Path:
        root = Path(self.root)
        sources = sorted((root / "nbactors" / "speedups").glob("*.c"))
        extension = Extension(
            "nbactors.speedups._compiled",
            [str(source) for source in sources],
            extra_compile_args=["-O2", "-Wall", "-Wextra", "-fvisibility=hidden"],
        )
        command = build_ext(Distribution({"ext_modules": [extension], "packages": ["nbactors", "nbactors.speedups"]}))
        command.build_lib = str(root)
        command.force = True
        with tempfile.TemporaryDirectory() as directory:
            command.build_temp = directory
            command.ensure_finalized()
            command.run()
        return Path(command.get_ext_fullpath("nbactors.speedups._compiled"))
