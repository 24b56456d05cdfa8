"""How users' values are pickled, whichever engine sends them: no input or output here."""
