"""Memory: the memory monitor, and the account of the memory that object stores may take.

The node ends a task or an actor before the kernel's OOM killer chooses a process. The rules of the monitor ask for a
sample (`SampleMemory`), and the shell answers with `MemorySampled`. Far below the threshold the rules ask every
three seconds, and for the workers' memory every ten seconds; close to it more often, and for both.
"""
