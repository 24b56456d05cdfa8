"""Benchmarks for the developers of nbactors: the rows of `nbactors microbenchmark`, more rows, targets, and Ray.

    python -m benchmarks --help        in an environment with nbactors, from the root of the repository
    scripts/benchmark                  the same, after creating the environment

The package `nbactors.benchmark` has the session, the machine's limits, and the first rows. This folder adds

    rows        further rows: startup, memory, arrays, streaming, many actors
    targets     the figure that each row must reach
    bench       a session whose processes can all be found, and Ray as a runtime
    copying     the machine's limits for large values: copies in memory
    filing      the same for values on a disk: `write` and `read`
    report      the result: a table for people, a JSON document for programs
    workloads   the work of the further rows; runs as a script, also in an environment that has only Ray
"""
