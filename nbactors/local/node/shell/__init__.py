"""The sockets, processes and pipes around the node's rules."""
