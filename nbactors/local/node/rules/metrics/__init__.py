"""Metrics: what the processes report, and what the node knows itself, as text for Prometheus."""
