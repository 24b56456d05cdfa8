"""A worker process, which runs one actor, or tasks one after the other.

node ──control──► main.Worker        ┌──► user code ──its own calls──► engine.WorkerEngine
                       │             │
callers ──calls──► running.Executor ─┘    jobs: records of calls; printing: their output; inspecting: their stacks
"""
