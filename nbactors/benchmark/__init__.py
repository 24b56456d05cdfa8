"""What `nbactors microbenchmark` measures. Nothing else in the package imports this.

    catalogue   the rows: what is measured, against which limit, with which target
    suite       runs the rows on each runtime, one after another
      bench       one runtime being measured: its session, and the machine's limits taken in between
        startup, rates, streaming, arrays, footprint, fleet    how each kind of row is measured
        limits      what the machine can do: exchange (messages), copying (memory), forking (processes)
        subject     one process that runs workloads.py on a runtime
    table, record   the result, for people and for programs

`workloads.py` and `exchange.py` run as scripts, in processes of their own: they import the standard library only,
`workloads.py` also the runtime that it is told, so that it runs on real Ray in an environment without nbactors.
"""
