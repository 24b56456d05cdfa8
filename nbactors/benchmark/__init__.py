"""The benchmark of `nbactors microbenchmark`: the speed of a session compared with the limits of this machine.

    rows        the rows of the table: each names a piece of work, and measures it
    bench       one run: a session in its own directory, and measurements of the machine's limits between its rounds
    subject     the process that holds the session; it runs workloads.py
    limits      the machine's limits: forking a process, exchanging messages (exchange.py)
    table       the result for people

`workloads.py` and `exchange.py` run as scripts, in their own processes. They import only the standard library;
`workloads.py` also imports the runtime that it measures, so it runs on real Ray in an environment without nbactors.

The folder `benchmarks` of the source repository has more rows, their targets, and a comparison with Ray.
"""
