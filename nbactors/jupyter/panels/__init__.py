"""Live panels: what actors do, in a notebook, with buttons.

    node's events ──► feed (one thread) ──► activity ──┐
    worker's answer to `inspect_actor` ────────────────┼──► a state: plain dict ──► widget ──► views (labextension/)
    log file, node's status ───────────────────────────┘                              │
                                                        commands ◄── buttons ◄────────┘

- A panel's state is a trait of its widget, so a page that is loaded again gets it from the kernel, and a notebook that
  is saved with its widgets has it. The kernel sends what has changed, four times a second at most, while a view of the
  panel is on the screen. A panel that no page shows costs nothing.
- The views are one ES module, made from `labextension/`. All panels of a kernel share one copy of it, in the widget
  `PanelCode`: a panel's own code only loads that.
- Buttons work while a cell runs: their messages come on a subshell of the kernel, and the commands run on threads of
  their own. `nbactors cancel` and `nbactors interrupt` do the same without the kernel.
- The trace of a cell (`%%trace`) is complete though no page looks: it is a *reader* of the feed, which runs until the
  cell's calls have ended. `trace_spans.py` chooses the calls.
- Where the front end has no anywidget, no page answers: the display becomes static HTML after `HELLO_S`.
"""
