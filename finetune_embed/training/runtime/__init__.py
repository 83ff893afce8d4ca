"""Where a run takes place: processes, precision, interrupts, trackers and progress bars."""
