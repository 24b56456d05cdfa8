"""What travels between processes: messages, frames, pickles. Nothing here reads or writes."""
