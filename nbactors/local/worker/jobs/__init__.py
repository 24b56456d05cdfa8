"""Records of the calls in a worker, and of its actor.

    a caller's connection ──► CallerJobs: waiting ──begin──► running ──end──►
                                             └──► cancelled, or given back

A *job* is a call or task in the worker that runs it. Its *caller* is the process that has made the call. `Production`
is the state of a job's generator, `Hosted` the actor of the worker.
"""
