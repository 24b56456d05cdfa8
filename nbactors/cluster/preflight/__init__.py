"""Whether the nodes of a cluster fit a session: versions, packages that a notebook has imported, resources."""
