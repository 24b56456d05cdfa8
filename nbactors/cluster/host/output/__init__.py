"""What a worker of the cluster puts out: how it is caught, and how it reaches the sessions that it is for.

Python code, C code, subprocesses ──► capture ──► lines ──batches──► hub ──► session
                                         └──────► tail: the end of all, for `%actor_logs`
IPython's displays, bars ──► shown ──► hub
"""
