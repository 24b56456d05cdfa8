"""`Pool`, the standard library's pool of processes, with actors as its processes.

Example:
    from nbactors.util.multiprocessing import Pool

    with Pool() as pool:
        squares = pool.map(lambda x: x * x, range(10))

Source: Ray's page "Distributed multiprocessing.Pool".
"""

from __future__ import annotations

from multiprocessing import JoinableQueue, TimeoutError  # noqa: A004 - Ray's and the standard library's name

from nbactors.util.multiprocessing.pool import Pool

__all__ = ["JoinableQueue", "Pool", "TimeoutError"]
