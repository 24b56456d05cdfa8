"""What a kernel needs: interrupts, history, the hooks of a session."""
