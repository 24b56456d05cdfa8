"""A call in the worker that runs it, and the actor that it belongs to."""
