"""`nbactors doctor`: `gathering.py` collects facts, and the pure `rules.py` makes findings of them."""
