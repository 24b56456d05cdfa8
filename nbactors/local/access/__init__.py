"""Finding, starting, asking and stopping nodes."""
