"""Task events in the node: pure rules without a clock, a socket or a process.

    task_table   the latest calls, merged from the reports of their callers and of their workers
    totals_table how many calls of each actor have ended
    actor_log    the latest changes of actors' states, and the latest waits of drivers
    followers    readers that wait for the next change

All changes have numbers of one sequence. A reader that knows the changes up to a number gets the later ones.
"""
