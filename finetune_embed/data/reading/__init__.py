"""Read data sets: local files, frames, saved folders and names on the Hub."""
