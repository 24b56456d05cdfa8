"""How actors, calls and objects show themselves."""
