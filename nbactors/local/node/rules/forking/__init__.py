"""What workers are forked from: environments, and spares, which were forked before they are needed."""
