"""Benchmarks for the developers of nbactors: more rows than `nbactors microbenchmark` has, targets, and Ray beside it.

    python -m benchmarks --help        in an environment with nbactors, from the root of the repository
    scripts/benchmark                  the same, which makes that environment first

The rows, the session that is measured and the machine's limits are those of `nbactors.benchmark`. Here are

    rows        the further rows: startup, footprint, arrays, streaming, fleet
    targets     what each row must reach
    bench       a session whose processes can all be found, and the runtime that Ray is
    copying     the machine's limits for large values
    report      the result: a table for people, a JSON document for programs
    workloads   the work of the further rows; runs as a script, also in an environment that has Ray alone
"""
