"""What tuning did to a table."""

from .drift import Band, Drift, Mover, drift

__all__ = ["Band", "Drift", "Mover", "drift"]
