"""What runs on a cluster, for listings, panels and traces: by Ray's tables, and by the reports of workers."""
