"""`python -m nbactors.cli` is the command line where the script `nbactors` is not on the PATH."""

from __future__ import annotations

from nbactors.cli.group import main

if __name__ == "__main__":
    main(prog_name="nbactors")
