"""The limit of a worker's memory, `memory_limit`.

    begin of a call: soft RLIMIT_DATA = what the process has mapped + what is left of the limit ──► end: no limit

- The kernel refuses a mapping beyond RLIMIT_DATA, and Python raises MemoryError in the method that asks for it.
- The kernel counts mapped memory of the process itself, used or not: heaps, private mappings and stacks of threads.
  Values in shared memory are not counted. Libraries map much that they never use. So the limit is set anew when a call
  begins, from the memory that is used then: only what the call itself maps counts in full.
- Between calls the runtime works without a limit. While a call runs, the reactor and the call's answer may also need
  memory: a MemoryError there raises the limit a little, and the step is repeated.
- CUDA maps ranges of many GiB that are never used, and macOS does not apply RLIMIT_DATA to mappings. There a watch
  looks at the used memory once a second instead: it interrupts the running methods, and then ends the process.
"""
