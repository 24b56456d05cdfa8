"""The hooks of a session in a kernel: the stop button, the shutdown request, and the output history."""
