"""Values: immutable data, its encodings, and the rules it has to satisfy. No I/O."""
