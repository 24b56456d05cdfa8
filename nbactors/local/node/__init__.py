"""The node daemon: one process per user that knows all sessions, actors and workers, and no value of a user.

    sockets, pipes, processes ──► shell ──events──► rules ──instructions──► shell ──► sockets, pipes, processes

`rules` is one machine without socket, process, file or clock, so that it is tested without any; `shell` is what is
around it; `main` is where the process begins.
"""
