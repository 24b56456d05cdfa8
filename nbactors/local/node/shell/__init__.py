"""The shell of the node: the sockets, pipes and processes around the rules.

    client ──► Door ──► Connection ──► Server ──► rules ──► Server ──► Connection ──► client
                                          ▲         └──► Supervisor ──► forkserver ──► worker
    worker's stdout ──► WorkerOutput ─────┘ ──► log

`Server` is the main loop. `Premises` guards the node's folder, with its lock, its socket and its logs.
"""
