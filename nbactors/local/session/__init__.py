"""The parts that only a session has: its engine, and the way of workers' output to the user."""
