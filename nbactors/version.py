"""The package's version, and where it lies. Reading this imports nothing else."""

import os

__version__ = "0.1.0"

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
"""The package's folder, with a separator at its end: what begins with it is the runtime's own code."""
