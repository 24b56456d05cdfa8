"""What the node does, as pure rules.

How the modules rest on each other; each knows only those above it:

resources gpus lifecycle names deaths          nouns
events                                         what happens, and what is to be done about it
records alarms context                         what the node remembers
asks                                           a client's request, until it is answered
queue workers actors leases sessions listing   the rules, each about one kind of record
state                                          events in, instructions out: all of the above as one machine
"""
