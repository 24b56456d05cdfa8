"""Calls on their way out, and their answers.

    handle.f.remote() ──► LocalActorLink ─┐                      ┌──► Replies ──► entries ──► waiting threads
                                          ├──► connection to ────┤
    task.remote() ──► TaskQueue ──lease───┘    the worker        └──► a task to be retried goes back to its queue

The *submitter* is the process that makes a call. A call is a `PendingCall` until it has returned or failed; its states
are the table in `call_life`. Actors' links and task queues are the *targets* of calls. A target is changed in *turns*:
one step at a time, by one thread at a time, without a lock, see `local.reactor.turns`. A step of a turn is not
indivisible: a signal handler or finalizer may interrupt it and run another one, and an asynchronous exception (see
`local.reactor`) may abort it. So it can be repeated: it removes a call from its old place only after it has put the
call into the new one.
"""
