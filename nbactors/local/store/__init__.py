"""Large values, in shared memory."""
