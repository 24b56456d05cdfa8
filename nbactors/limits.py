"""Limits of a session's requests, checked when the user gives a value and again when the node decodes the request.

The node serves all sessions of a user with one thread. The work and memory for some requests grow with a number in the
request. The node refuses such a request above a limit, so that a typing error in one session cannot stop the others.
"""

MAX_AMOUNT = 1e15
"""Largest amount of one resource, such as a petabyte of memory. In units of 0.0001 it still fits into 64 bits."""

MAX_COUNT = 2**31 - 1
"""Largest value of an option that counts: concurrent calls, retries."""

MAX_RETURNS = 10_000
"""Most objects of one call. The submitter creates all of them, each with its own entry, when it submits the call."""

MAX_GPUS = 1024
"""Most GPUs of one session. The node keeps a record of each GPU."""

MAX_ENVIRONMENT = 1 << 20
"""Most characters in all environment variables of a runtime_env. The system starts no program with many more."""

MAX_KINDS = 1000
"""Most different custom resources of one session or request, and most different waiting requests of one session."""

MAX_PENDING = 100_000
"""Most living actors that one process has created, and most workers that one process has requested."""

MAX_NAME = 4096
"""Most characters in the name of an actor, namespace, class, function or resource."""

MAX_TEXT = 1 << 20
"""Most characters in the cause of an actor's death, which the node keeps."""

MAX_SECONDS = 7 * 24 * 3600.0
"""Longest graceful shutdown of an actor, in seconds. The system's timeouts end at 24 days."""
