"""Store what the programs in tests/programs print on real Ray. `scripts/programs-ray` runs it."""

from __future__ import annotations

import signal
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from programs import running


def main(names: list[str]) -> int:
    known = running.programs()
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"there is no program {', '.join(unknown)} in {running.SOURCES}; there are {', '.join(known)}")
        return 2
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell that runs this in the background has it ignored, by Ray's workers as well, which Ray cancels by it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in names or known:
        with tempfile.TemporaryDirectory() as directory:
            running.store(name, version("ray"), running.run(name, "ray", Path(directory)))
        print(f"stored {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
