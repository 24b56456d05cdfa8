"""Running calls in a worker.

    connection ──► Executor ──► main thread ─────────────┐
                     │                                   ├──► Performer ──► the user's code ──► Answers
                     └──► Lanes ──► pool threads, loops ─┘

**Where calls run.** Those of most actors, and tasks, run on the main thread, one by one. With nothing to run it waits
in the reactor, and so reads the next call off the socket itself. An actor that runs several calls at once has *lanes*,
one for each concurrency group: of threads, or with an event loop. The default loop of an asyncio actor runs on the
main thread and hosts the reactor, see `local.reactor`.

**Interrupts** reach the user's code and nothing else: `interrupts` tells how. **Endings**, whoever begins them, answer
the callers and have a limit: `ending` tells how.
"""
