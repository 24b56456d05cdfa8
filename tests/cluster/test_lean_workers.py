"""What runs in the workers of a cluster needs only the standard library and Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

MISSING = ("msgspec", "cloudpickle", "psutil", "IPython", "ipywidgets", "setproctitle")


def test_nothing_but_ray_is_imported_in_workers(fresh: Any, tmp_path: Path) -> None:
    for name in MISSING:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is missing on this cluster')\n")
    fresh.init(engine="ray", num_cpus=2, runtime_env={"env_vars": {"PYTHONPATH": str(tmp_path)}})

    @fresh.remote
    class Lean:
        def missing(self) -> list[str]:
            import importlib

            found = []
            for name in ("msgspec", "cloudpickle"):
                try:
                    importlib.import_module(name)
                except ImportError as error:
                    found.append(str(error))
            return found

        def nested(self) -> int:
            import nbactors as ray

            @ray.remote
            def double(x: int) -> int:
                return 2 * x

            return ray.get(double.remote(21))

        async def fail(self) -> None:
            raise ValueError("no")

        def modules(self) -> list[str]:
            import sys

            return [name for name in sys.modules if name.startswith("nbactors.local")]

    lean = Lean.remote()
    assert fresh.get(lean.missing.remote(), timeout=120) == [
        f"{name} is missing on this cluster" for name in ("msgspec", "cloudpickle")
    ]
    assert fresh.get(lean.nested.remote(), timeout=60) == 42
    with pytest.raises(ValueError, match="no"):
        fresh.get(lean.fail.remote(), timeout=60)
    assert fresh.get(lean.modules.remote(), timeout=60) == []
