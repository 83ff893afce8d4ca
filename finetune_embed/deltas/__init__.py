"""What a tuned table has that its base lacks, as a small file: save it, apply it, merge several."""

from .apply import apply_delta
from .delta import Delta
from .delta_file import load_delta, save_delta, write_delta

__all__ = ["Delta", "apply_delta", "load_delta", "save_delta", "write_delta"]
