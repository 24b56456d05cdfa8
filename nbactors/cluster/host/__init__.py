"""What runs in the workers of a Ray cluster: hosts of actors, functions of tasks, and what they tell the session."""
