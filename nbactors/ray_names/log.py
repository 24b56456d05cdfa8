"""`nbactors.logger`: the logger of the package. `init(logging_level=...)` sets its level."""

from __future__ import annotations

import logging

logger = logging.getLogger("nbactors")
