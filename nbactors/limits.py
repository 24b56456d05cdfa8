"""How much a session may ask for. Checked where the user writes it, and again where the node decodes it.

The node serves all sessions of a user with one thread. A request whose work or memory grows with a number in it is
therefore refused before that work begins, or one session's typing error would stop the others.
"""

MAX_AMOUNT = 1e15
"""Of one resource: a petabyte of memory. Counted in ten-thousandths it still fits 64 bits."""

MAX_COUNT = 2**31 - 1
"""Of what an option counts: calls at once, retries."""

MAX_RETURNS = 10_000
"""Objects of one call: each is made when the call is, with an entry of its own."""

MAX_GPUS = 1024
"""Of one session. The node keeps a record of each."""

MAX_ENVIRONMENT = 1 << 20
"""Characters of the environment variables of a runtime_env. The system refuses to start a program with many more."""

MAX_KINDS = 1000
"""Different custom resources of one session or request, and different requests of one session that wait."""

MAX_PENDING = 100_000
"""Actors of one process that have not ended, and workers that it has asked for."""

MAX_NAME = 4096
"""Characters of a name: of an actor, namespace, class, function or resource."""

MAX_TEXT = 1 << 20
"""Characters of the cause of an actor's end, which the node keeps."""

MAX_SECONDS = 7 * 24 * 3600.0
"""A graceful end may take that long. The system's waits end at 24 days."""
