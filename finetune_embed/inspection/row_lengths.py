"""The Euclidean lengths of the rows of a table, and what is odd about them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .findings import Finding, Severity, Tally, quoted
from .remedies import REMOVE_WORDS
from .scan import Scan
from .word_conventions import SPECIAL_TOKENS

__all__ = ["QUANTILES", "length_quantiles", "row_findings"]

#: The quantiles of the lengths that are reported.
QUANTILES = {"min": 0.0, "1%": 0.01, "25%": 0.25, "median": 0.5, "75%": 0.75, "99%": 0.99, "max": 1}
#: A row is an outlier if the logarithm of its length is more than this many robust standard
#: deviations (1.4826 times the median absolute deviation) from the median. GloVe 6B 50d has 25.
FAR = 8.0
MIN_DEVIATION = 0.01  # of the logarithm, for tables whose rows all have the same length
HUGE = 100.0  # times the median length


def length_quantiles(scan: Scan) -> dict[str, float]:
    """Return quantiles of the lengths of the finite rows; empty if there are none."""
    finite = scan.finite_lengths
    if not len(finite):
        return {}
    values = np.quantile(finite, list(QUANTILES.values()))
    return {name: float(value) for name, value in zip(QUANTILES, values, strict=True)}


def row_findings(scan: Scan) -> list[Finding]:
    """Return what is odd about rows."""
    not_a_number = np.flatnonzero(np.isnan(scan.lengths))
    infinite = np.flatnonzero(np.isinf(scan.lengths))
    remove = ("remove them: ", REMOVE_WORDS)
    return [
        *_zero_rows(scan),
        *_tally(scan, not_a_number).finding(
            "warning", "nan_rows", "rows with NaN, which training refuses", remove
        ),
        *_tally(scan, infinite).finding(
            "warning", "infinite_rows", "rows with infinite values, which training refuses", remove
        ),
        *_outliers(scan),
    ]


def _zero_rows(scan: Scan) -> list[Finding]:
    rows = np.flatnonzero(scan.lengths == 0)
    if all(scan.words[row] in SPECIAL_TOKENS for row in rows.tolist()):
        return _tally(scan, rows).finding(
            "note",
            "zero_rows",
            "rows of zeros",
            "leave them: padding and unknown words usually have zeros",
        )
    return _tally(scan, rows).finding(
        "warning",
        "zero_rows",
        "rows of zeros, which have no cosine similarity",
        ("remove them: ", REMOVE_WORDS),
    )


def _outliers(scan: Scan) -> list[Finding]:
    """Return the rows that are far longer or shorter than the others."""
    rows = np.flatnonzero(np.isfinite(scan.lengths) & (scan.lengths > 0))
    if not len(rows):
        return []
    logs = np.log(scan.lengths[rows])
    median = float(np.median(logs))
    deviation = max(1.4826 * float(np.median(np.abs(logs - median))), MIN_DEVIATION)
    distance = np.abs(logs - median) / deviation
    far = rows[distance > FAR]
    far = far[np.argsort(-distance[distance > FAR], kind="stable")]
    huge = int((scan.lengths[far] > HUGE * np.exp(median)).sum())
    severity: Severity = "warning" if huge else "note"
    return _tally(scan, far, with_length=True).finding(
        severity,
        "outlier_norms",
        f"rows far longer or shorter than the median of {np.exp(median):.3g}",
        (f"{huge:,} are over {HUGE:.0f} times the median; remove them: ", REMOVE_WORDS)
        if huge
        else "leave them: they are usually rare words that were hardly trained",
    )


def _tally(scan: Scan, rows: npt.NDArray[np.int64], *, with_length: bool = False) -> Tally:
    """Return a tally of rows, with their words and places as examples."""
    tally = Tally()
    for row in rows[:10].tolist():
        length = f" {scan.lengths[row]:.3g}" if with_length else ""
        tally.add(f"{quoted(scan.words[row])}{length} ({scan.place(row)})")
    tally.count = len(rows)
    return tally
