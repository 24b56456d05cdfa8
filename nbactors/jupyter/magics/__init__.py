"""The magics, a file for each kind."""
