"""Calls on their way out, and their answers.

    handle.f.remote() ──► LocalActorLink ─┐                      ┌──► Replies ──► entries ──► who waits
                                          ├──► the connection ───┤
    task.remote() ──► TaskQueue ──lease───┘    to its worker     └──► retry, in front of the queue

A call is a `PendingCall` until it has returned; its states are the table in `call_life`. An actor's link and a task
queue are *targets*: what changes one of them is done in turns, one step at a time, see `local.reactor.turns`.
"""
