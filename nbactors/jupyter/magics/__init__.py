"""The magics, one file for each kind."""
