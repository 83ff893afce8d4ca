"""A small synthetic review corpus and a slice of GloVe, for examples and tests."""
