"""Deterministic simulation of the runtime: the real rules and tables, on virtual time and a simulated network.

    Plan ──► Simulation ──► World: the queue of actions, ordered by virtual time
                 │             │
                 │             ├── SimulatedProcess: a session with its real parts and its real reactor
                 │             ├── SimulatedWorker: a worker with its real parts; its calls run step by step
                 │             └── Machine: forks, exits and one Node after the other, each with the real rules
                 ├──► Ledger: what each call was to do, and did; `remains`: what is left in the tables
                 └──► Outcome: failures, and a digest of all that has happened

**What is real.** All of `nbactors/local/member.py` with its rooms, `worker/main.py` with executor, answers and jobs,
and the node's rules. Frames are encoded, cut at any byte, and decoded.

**What is simulated.** The clock, sockets, forks, exits and threads. One thread runs one action after the other, so two
actions never overlap; what threads do to each other within an action is for the unit tests of the rooms. User code is
a small program of steps. Values in shared memory, generators and asyncio actors do not occur.

**What goes wrong.** Plans kill workers between any two of their actions, break connections behind any byte or at any
time, refuse and delay them, and stall processes. They kill the session, and the node between any two messages, also
while processes return from the node before. The first process that searches for the next node starts it.

**Finding.** A seed decides all, and replays exactly (`scripts/simulate --seed N --trace`). A plan is data apart from
its run, so it shrinks by leaving elements out (`--shrink`). After the plan all references go, and no table may keep
anything. `test_old_bugs` puts bugs of the package's history back, each of which must be found.
"""
