"""A small synthetic review corpus and a slice of GloVe, for examples and tests."""

from pathlib import Path

__all__ = ["REVIEWS", "VECTORS"]

_HERE = Path(__file__).parent
#: 11,138 rows of GloVe 6B 50d, unchanged (PDDL; see LICENSE-glove.txt).
VECTORS = _HERE / "glove.6B.50d.demo.txt.gz"
#: A folder with train.csv, validation.csv and test.csv: 7,500 synthetic reviews in two classes.
REVIEWS = _HERE / "reviews"
