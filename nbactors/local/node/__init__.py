"""The node daemon: one process per user that knows all sessions, actors and workers on the machine, and no user value.

How the modules rest on each other; each knows only those above it:

    resources gpus lifecycle names deaths          nouns without any I/O, without clock
    asks                                           a client's request, until it is answered
    events                                         what happens, and what is to be done about it
    records alarms context                         what the node remembers
    queue workers actors leases sessions listing   the rules, each about one kind of record
    state                                          events in, instructions out: all of the above as one machine
    machine output supervisor                      the outside: hardware, pipes and logs, processes
    loop server main                               the shell around `state`

Everything down to `state` is pure: no socket, process, file or clock, so that it is tested without any.
"""
