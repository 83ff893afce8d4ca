"""Processes, precision, threads, interrupts, trackers and progress bars of a run."""
