"""Load from many threads and processes at once: nothing may be lost, run twice, stuck or left behind.

The seed is printed, and given with ``NBACTORS_STRESS_SEED``. ``NBACTORS_STRESS_CALLS`` says how many calls are made and
``NBACTORS_STRESS_ACTORS`` how long the chain of actors is, ``NBACTORS_STRESS_INTERRUPTS`` how often a session is
interrupted.
"""
