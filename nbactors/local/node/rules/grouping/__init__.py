"""Where actors and tasks may run: placement groups, with what their bundles have, and labels of the node."""
