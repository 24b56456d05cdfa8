"""The options of `init`, actors, remote functions and calls, each kind checked and stored in an immutable object.

The check takes place where the user gives the options: in the decorator, `.options()` or `init()`. Errors have Ray's
types: TypeError for a wrong type, ValueError for a wrong value or an unknown keyword, RuntimeError for an unknown
keyword of `init`. Any thread.
"""

from __future__ import annotations

from nbactors.options.actor_options import ActorOptions
from nbactors.options.call_options import CallOptions
from nbactors.options.init_options import InitOptions
from nbactors.options.task_options import TaskOptions
from nbactors.runtime_env.worker_setup import WorkerSetup

__all__ = ["ActorOptions", "CallOptions", "InitOptions", "TaskOptions", "WorkerSetup"]
