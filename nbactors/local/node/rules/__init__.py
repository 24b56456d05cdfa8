"""The rules of the node: a pure state machine that gets events and returns instructions.

Each module knows only the modules above it:

resources gpus lifecycle names deaths          amounts, states and texts
events                                         the events, and the instructions
records alarms context                         what the node remembers
asks                                           a client's request, until it is answered
queue workers actors leases sessions listing   the rules, each about one kind of record
state                                          all of these as one machine

**Holding.** An actor that is not detached ends when no process has a handle of it. The node counts *tokens* for each
process that has some, the *holder*. A process that sends a handle first has the node add a token for the receiver
(`AddHold`), so a handle on its way is counted; a process without handles gives its tokens back (`ReleaseHold`).

A *weak handle*, as `get_actor` returns it, keeps no actor. A process that has one is a *watcher*: it is counted in the
same way, apart from the holders, and is told the same news of the actor. It counts itself, also for a weak handle that
another process has sent.
"""
