"""What only a session has: its engine, and where it shows what workers print."""
