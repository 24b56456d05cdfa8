"""`nbactors top`, a live view of the actors in the terminal.

    reader.py, a thread ──► board.py: what is known, pure ──► ordering.py: rows in order, pure ──► app.py, textual

The reader follows the event stream, four times a second at most. The app looks at the board's lines as often, and
draws the visible rows only. What keys do runs in threads of its own (`deeds.py`), so that the view never waits. Only
`command.py` is imported where textual is not installed.
"""
