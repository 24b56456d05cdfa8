"""What `nbactors microbenchmark` measures: how fast a session is, beside what this machine can do at best.

    rows        the lines of the table: what is measured, and how
    bench       one run: a session in a directory of its own, and the machine's limits in between
    subject     the process that holds the session; it runs workloads.py
    limits      what the machine can do: fork a process, exchange messages (exchange.py)
    table       the result, for people

`workloads.py` and `exchange.py` run as scripts, in processes of their own: they import the standard library only,
`workloads.py` also the runtime that it is told, so that it runs on real Ray in an environment without nbactors.

The folder `benchmarks` of the source repository has more rows, their targets, and a comparison with Ray.
"""
