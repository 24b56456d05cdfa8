"""What references stand for: entries, who holds them, what they hold, and who waits.

    ObjectRef ──► Entry ──► value: bytes here, or a segment of shared memory
                    ▲
                    └── other processes, as borrowers: each is counted by the owner

**Ownership.** The process that has made a reference, by a call or by `put`, owns the object. Its entry lives as long as
a reference in this process, a pending call, or a borrower needs it; Python's own reference counting frees it.

**Borrowing.** Each reference that travels is counted as one *token* for the receiver, by the owner. The rules that make
it safe although the messages take different ways:

- The sender counts the receiver before the reference travels (`AddBorrow` to the owner, or directly if it is the
  owner), and gives up its own tokens only later on the same connection. So the owner never sees zero in between.
- A receiver gives back exactly the tokens that it got. Counts may be negative for a moment, when a release overtakes
  the addition; an object is free when no process has a count other than zero.
- When a process dies, its counts go.
"""
