"""The store: large values in shared memory, written once, mapped read-only by each reader, and reused.

    put, or a result ──► a segment: a free one, or a new one ──its descriptor──► a receiver maps it read-only
                             ▲                                                       │
                             └── free again ◄── its count of holds is 0 ◄── the hold is given back

A *segment* is an anonymous file (memfd; or an unlinked file, if memfd is missing or the memory limit is reached). The
kernel frees it with its last descriptor and mapping: so nothing can be left behind, and the size of `/dev/shm` does not
matter. Its descriptor is sent beside the message that announces the value.

Reuse makes a second `put` fast, because the pages are mapped already. But reuse could corrupt the value of a reader
that still maps the pages. Hence these rules:

- A process that hands a segment to another one counts a *hold* for the receiver. The receiver gives the hold back by
  `ReleaseSegment`, when its own last view is gone and all processes to which it handed the segment have given back
  their holds.
- A hold that is given back permits reuse. A hold that is lost, because the receiver's connection broke, forbids reuse
  for ever: a process further down may still map the pages. The kernel then frees the segment.

So each process only needs to know its neighbours. There is no lock, because a signal handler or a finalizer that
interrupts this code may call it again. Changing a count and comparing it, with no call in between, is atomic in
CPython; so is one call of a C function. The runtime's own finalizers only post an action to the reactor.
"""
