"""What a run leaves behind: its files, checkpoints and report."""
