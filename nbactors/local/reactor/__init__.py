"""The reactor: the event loop of a process. Its one selector is polled by whichever thread waits for a result.

    a thread begins to wait ──► no leader? ──yes──► it becomes the leader: it polls, reads and runs callbacks until its
                                     │              own result is there; then it makes a follower the next leader
                                     no
                                     ▼
      it becomes a follower: it sleeps on a lock of its own until its result is there, or until it is made the leader

    no thread waits: the background thread leads. In an asyncio actor: the event loop leads, that thread is its guard.

**Leader and followers.**

- At most one thread, the *leader*, polls and runs callbacks at a time. So callbacks need no lock against each other.
- A thread that begins to wait while there is no leader becomes the leader. It reads its own result off the socket: a
  separate reader thread would have to wake it up, which costs more than all other work of a small call.
- A thread that begins to wait while another thread leads is a *follower*. It is woken when its result is there, or when
  the leader leaves and makes it the next leader.
- The *background thread* leads while no other thread waits, so that messages are read and buffered output is sent while
  user code computes. As long as user threads keep coming to wait, it only polls without blocking, once a tick: a
  blocking poll would cost each of them a system call and a thread switch to take over.
- In an asyncio actor the main thread's event loop *hosts* the reactor: it watches the selector's own descriptor, and
  leads for a moment whenever that is readable. The background thread is then only a *guard*, see `guard`.
- SIGINT leaves no half-done change: while the main thread leads or follows, the signal is only noted, and is raised
  after that. In a session, `frontend.interrupts` also keeps it out of all other code of the runtime.

**No change is left half-done.** Three things can interrupt a thread between any two bytecodes: signal handlers,
finalizers, and *asynchronous exceptions*, which a signal handler raises, or another thread with
`PyThreadState_SetAsyncExc`. Handlers and finalizers may call any verb, too. Hence these rules:

- No thread waits for a lock here. State is changed by atomic steps instead. A comparison together with the stores that
  follow it is atomic, if no call lies between: CPython handles signals, switches threads and raises asynchronous
  exceptions only at calls, at the entry of a function and at backward jumps. One call of a C function is atomic, too.
  The condition of a `while` does not count: a backward jump lies between it and the loop's body.
- A thread becomes the leader by one store that follows such a comparison. The work of a leader is inside a `try`, and
  the first statement of its `finally` is the store that ends its leadership.
- A handler or finalizer that interrupts the leader and waits leads in its place. It first handles the messages that the
  leader has read but not handled. At its end it rings the bell: the interrupted leader may be just about to sleep,
  although its own result has come meanwhile.
- An asynchronous exception is raised to the user code that waits on that thread. The callback that it interrupted is
  run again, see `blame`.
- The code that wakes the next leader can be interrupted, too. So each follower checks every `CHECK_S` whether there is
  still a leader.
- Changes that must not overlap are done in turns, which no thread waits for, see `turns`.
- The runtime's own finalizers only append to `trash` and call `nudge`.

A trace or profile function that is written in Python runs within an atomic step, and lets other threads run there.
These guarantees do not hold while one is set.
"""
