"""One file a target, imported by name when it is asked for."""
