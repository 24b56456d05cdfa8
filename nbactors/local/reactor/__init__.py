"""The event loop of a process: one selector, read by whichever thread waits.

    a thread that waits ──► no leader? ──yes──► leads: polls, reads, runs callbacks, until its own answer is there
                               │                  └─ at the end it makes a follower the leader
                               no
                               ▼
                        follows: sleeps on a lock of its own, until its answer is there or it is made leader

    no thread waits ──► the background thread leads; in an asyncio actor the event loop hosts, and that thread guards

**Leader and followers.**

- At most one thread (the *leader*) polls and runs callbacks at a time, so callbacks need no lock against each other.
- A thread that waits becomes the leader if there is none. It then reads its own answer off the socket: no hand-over
  to a reader thread, which would cost a wake-up per call.
- A thread that waits while another leads (a *follower*) sleeps on a lock of its own. It is woken when what it waits
  for has happened, or is made leader when the old one leaves.
- A background thread leads when no one waits, so that messages are read and buffered writes go out while user code
  computes. While user threads come and go it only looks in once a tick, because a blocked poll would have to be
  interrupted by a system call and a thread switch for every wait.
- In an asyncio actor the main thread's event loop *hosts* the reactor: it watches the selector's own descriptor and
  leads for a moment whenever that is ready. The background thread then only stands guard, see `guard`.
- SIGINT never tears the state: while the main thread leads or follows, the signal is noted and raised after it left.
  In a session `frontend.interrupts` keeps it from all else that the runtime does, too.

**Nothing is torn.** Handlers of other signals, finalizers and exceptions that another thread raises here
(`PyThreadState_SetAsyncExc`) come at any bytecode, and the first two may call any verb. So:

- Nobody waits for a lock here. A comparison and the stores that follow it, with no call between, are one step: CPython
  looks for signals, for other threads and for exceptions from outside at calls, where a function is entered, and at
  jumps backwards. So is one call of a C function. The condition of a `while` is no such comparison: a jump backwards
  comes between it and the loop's body.
- The leader is named by one store, after such a comparison. The first statement of the `finally` around all that it
  does is the store that ends it.
- A wait in a handler or finalizer on the leader's own thread leads in its place, and first handles what that had read.
  At its end it rings the bell: the interrupted leader may have been about to sleep, though what it waits for is there.
- An exception from outside is raised to whoever waits on that thread, and what it has torn is done again, see `blame`.
- What wakes the next thread can be torn, too. So a follower looks every `CHECK_S` whether there is still a leader.
- What must be done one step after the other is done in turns that nobody waits for, see `turns`.
- The runtime's own finalizers only append to `trash` and call `nudge`.

A trace or profile function that is written in Python runs between the parts of a step, and lets other threads in there:
under one these guarantees do not hold.
"""
