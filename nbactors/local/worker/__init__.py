"""A worker process, which runs one actor, or tasks one after the other.

    node ──control──► main.Worker        ┌──► user code ──its own calls──► engine.WorkerEngine
                           │             │
    callers ──calls──► running.Executor ─┘

`jobs` has records of the calls, `printing` takes their output, and `inspecting` reports where they are.
"""
