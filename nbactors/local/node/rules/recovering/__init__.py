"""What a node does that follows a crashed one: sessions and workers still live, and return to it.

    last node crashes ──► a process starts this node ──► processes return ──► all are back, or 1 s is over ──► as usual
                                                         (messages wait)

- `Facts.survivors` names the processes that live. They are *absent* until they have declared everything (`Restored`).
- Meanwhile this node only greets. Other messages wait, so that a request is judged by complete records: `recovery`.
- A process may return later, for instance since native code holds its interpreter's lock. Until then the records have
  what other processes have told of it, and it counts as alive.
- `restoring` makes the records. A worker knows most of its actor or lease, so its word counts more than its creator's.
- What was on its way when the last node crashed is lost. So each declaration may say what a request says, and a request
  that has come before is no mistake. Handles on their way are counted by their receivers: see `Actors.obtain` in
  `local/submitting/actors.py`.
"""
