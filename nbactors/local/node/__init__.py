"""The node: one daemon process per user that knows all sessions, actors and workers, and holds no user value.

    sockets, pipes, processes ──► shell ──events──► rules ──instructions──► shell ──► sockets, pipes, processes

- `rules` is a state machine. It gets events ("a message was received", "a worker has exited") and returns instructions
  ("send this message", "fork a worker"). It uses no socket, process, file or clock, so tests need none.
- `shell` has the sockets, pipes and processes. It turns what happens there into events, and carries instructions out.
- `main` starts a node process. `nbactors.local.access` tells how a session finds the node and starts it.
"""
