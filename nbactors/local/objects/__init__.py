"""Objects of a process: their entries and values, the counting of references, and waiting for them.

    ObjectRef ──► Entry ──► value: bytes in this process, or a segment of shared memory
                    ▲
                    └── borrowers: other processes with a reference; the owner counts them

**Ownership.** The process that makes a reference, by a call or by `put`, *owns* the object. The owner's entry lives as
long as a reference in its process, a pending call, or a borrower needs it. Python's reference counting frees the entry,
and the value with it. The states of an object are the table in `object_life`.

**Borrowing.** A process that receives a reference is a *borrower*. For each reference that travels, the owner counts
one *token* for the receiver. The messages use different connections; these rules make the counting safe nevertheless:

- The sender has the receiver counted before it sends the reference: it counts itself if it is the owner, and sends the
  owner `AddBorrow` if not. It gives back its own tokens only later, on the same connection. So the owner never counts
  zero in between.
- A borrower gives back exactly the tokens that it got. A count is negative for a moment if a release arrives before the
  addition. The object is free when no process has a count other than zero.
- When a process dies, its counts go.

**No locks.** Signal handlers, finalizers and asynchronous exceptions come at any bytecode, see `local.reactor`: each
change of an entry or a table is one step, and each announcement can be repeated.
"""
