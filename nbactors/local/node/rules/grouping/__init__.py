"""Placement groups: what their bundles have, and how groups are reserved and removed."""
