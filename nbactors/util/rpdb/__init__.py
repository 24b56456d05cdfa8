"""`nbactors.util.rpdb`: Ray's older name for the module `nbactors.util.pdb`."""

from nbactors.util.pdb import set_trace

__all__ = ["set_trace"]
