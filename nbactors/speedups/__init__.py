"""The compiled part of the path of a call, and what stands in its place where it was not built.

Most of the time of a small call is the interpreter's. So on Linux, what each call does is compiled: to make a call and
to end it with its answer, to send a frame, to receive frames and hand their messages on, to poll (the files in C here).
That part does the usual case only, as one step. All else is done by the steps in Python beside it, in
`local.submitting`, `local.connections` and `local.reactor`. They are complete by themselves: they do everything on
macOS, where no C compiler was found at the installation, and with ``NBACTORS_SPEEDUPS=0``.
"""

from nbactors.speedups.form import Line, begin, compiled, go_out, know, send_task, settle, submit, why_not

__all__ = ["Line", "begin", "compiled", "go_out", "know", "send_task", "settle", "submit", "why_not"]
