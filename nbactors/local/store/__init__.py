"""The store: large values in shared memory, written once, mapped read-only by each reader, and reused.

    put, or a result ──► a block of an arena ──number and place──► a receiver reads it in its mapping of the arena
                             ▲                                        │
                             └── free again ◄── its count of holds is 0 ◄── the hold is given back

An *arena* is a large anonymous file (memfd; or an unlinked file, if memfd is missing, or for values that are spilled),
which takes memory only for what was written. The kernel frees it with its last descriptor and mapping: so nothing can
be left behind, and the size of `/dev/shm` does not matter. Its descriptor is sent once to each peer, before the first
value in the arena; a receiver maps the whole arena once. So the number of values does not matter for the number of
descriptors. A very large value has an arena of its own.

A *block* is the place of a value in an arena. Reuse makes a second `put` fast, because the pages are mapped already.
But reuse could corrupt the value of a reader that still reads the block. Hence these rules:

- A process that hands a block to another one counts a *hold* for the receiver. The receiver gives the hold back by
  `ReleaseSegment`, when its own last view is gone and all processes to which it handed the block have given back their
  holds.
- A hold that is given back permits reuse. A hold that is lost, because the receiver's connection broke, forbids reuse
  for ever: a process further down may still read the block. No value comes into such an arena any more. When its last
  other value is gone, this process leaves the arena, and the kernel frees it.

So each process only needs to know its neighbours. There is no lock, because a signal handler or a finalizer that
interrupts this code may call it again. Changing a count and comparing it, with no call in between, is atomic in
CPython; so is one call of a C function, and one store. The runtime's own finalizers only post an action to the reactor.

When memory runs short, the least recently used values that nobody has mapped move to blocks of unlinked files, and they
come back when they are used. A thread of its own does so ahead; a put that finds no room before that does it itself. A
value that finds no room in memory because all of it is mapped is read from its file.

The files: `segments.py` has the values and counts their uses (`hold.py`). `allocator.py` has the arenas (`arena.py`),
of which `page_map.py` tells the free units, and keeps a few free blocks at hand (`warm_blocks.py`). `spiller.py` moves
values to disk and back, within the memory that `room.py` allows. `forks.py` knows the forked children.

Fragmentation costs addresses, but no memory: the memory of free units goes back to the system when it is needed, or
when the process has been idle for a while.
"""
