"""Running calls in a worker.

    connection ──► Executor ──► main thread ─────────────┐
                     │                                   ├──► Performer ──► user code ──► Answers
                     └──► Lanes ──► pool threads, loops ─┘

**Where calls run.** Tasks, and the calls of most actors, run on the main thread, one by one. A main thread without a
call waits in the reactor, and so reads the next call from the socket itself. An actor that runs several calls at the
same time has *lanes*, one for each concurrency group: a lane of threads, or a lane with an event loop. The default loop
of an asyncio actor runs on the main thread and hosts the reactor, see `local.reactor`.

**Interrupts** are raised in user code and nowhere else, see `interrupts`. **Endings** answer all callers and have a
time limit, see `ending`. **Forked children** of a call answer nobody, see `forked`.
"""
