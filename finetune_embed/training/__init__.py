"""The loop, its checkpoints, and the whole way in one call."""
