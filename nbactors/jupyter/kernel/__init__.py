"""The hooks of a session in a kernel: the stop button, and the output history."""
