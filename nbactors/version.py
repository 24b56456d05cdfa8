"""The package's version and folder. This module imports no other module of the package."""

import os

__version__ = "0.1.0"

__commit__ = "unknown"
"""For programs that print Ray's: a build stores no commit here."""

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
"""The package's folder, with a separator at its end. A path that begins with it is code of the runtime."""
