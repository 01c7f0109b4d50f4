"""The low-level commands, one file each. A file is: what it does on a ``Repository``, and a thin front."""
