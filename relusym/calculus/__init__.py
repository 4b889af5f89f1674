"""The calculus of pieces: one file, one notion."""
