"""Every option of `init`, actors, remote functions and their calls: validated once, into frozen objects.

Checked where the user writes it: at decoration, at `.options()`, at `init()`. The types of errors are Ray's: TypeError
for a wrong type, ValueError for a wrong value or an unknown keyword, RuntimeError for an unknown keyword of `init`.
"""

from __future__ import annotations

from nbactors.options.actor_options import ActorOptions
from nbactors.options.call_options import CallOptions
from nbactors.options.init_options import InitOptions
from nbactors.options.task_options import TaskOptions
from nbactors.runtime_env import RuntimeEnv

__all__ = ["ActorOptions", "CallOptions", "InitOptions", "RuntimeEnv", "TaskOptions"]
