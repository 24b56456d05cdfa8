"""How a process finds this user's nodes, starts one, asks it and stops it.

    init() ──► a node listens in the folder of this protocol? ──yes──► connect
                   │ no
                   └──► lock start.lock ──► look again ──► start a node ──► wait until it listens ──► connect

`discovery` does this for sessions. The command line finds the nodes of all versions of nbactors (`sightings`), asks
them (`control`, `reports`) and ends them (`stopping`).
"""
