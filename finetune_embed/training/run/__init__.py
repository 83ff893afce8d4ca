"""The results of a run: its files, checkpoints and report."""
