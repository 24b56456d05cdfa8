"""`python -m nbactors.cli`, for where the `nbactors` script is not on the PATH."""

from __future__ import annotations

from nbactors.cli.group import main

if __name__ == "__main__":
    main(prog_name="nbactors")
