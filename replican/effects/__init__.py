"""Effects: everything that reads or writes a disk."""
