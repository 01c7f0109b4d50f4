"""The high-level commands, one file each, composed of operations and of the plumbing's functions."""
