"""Task events: what a process tells the node about its calls.

    recorder        gathers the calls that have ended, and reports them and the live ones at a pace
    waits           the waits of calls and of a driver's code in `get` and `wait`
    error_types     Ray's names for kinds of errors

A call costs little, since the process makes a row only for a bounded number of calls in each period: beyond it, short
calls are counted by function. A call that lives for less than `recorder.YOUNG_S` at the time of a report is not in the
report. The messages are in `local/wire/messages/task_events.py`, the node's table is in `local/node/rules/tracing/`.
"""
