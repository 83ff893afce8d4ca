"""The rows of a table by their Euclidean length: zero, not finite, far from the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .conventions import SPECIALS
from .findings import Finding, Severity, Tally, quoted
from .scan import Scan

__all__ = ["QUANTILES", "findings_of_rows", "quantiles"]

#: The quantiles of the lengths that are reported.
QUANTILES = {"min": 0.0, "1%": 0.01, "25%": 0.25, "median": 0.5, "75%": 0.75, "99%": 0.99, "max": 1}
#: A row is far from the others if the logarithm of its length is so many robust standard deviations
#: (1.4826 times the median absolute deviation) from the median. In GloVe 6B 50d, 25 rows are.
FAR = 8.0
MIN_SPREAD = 0.01  # of the logarithm, for tables whose rows all have one length
HUGE = 100.0  # times the median length


def quantiles(scan: Scan) -> dict[str, float]:
    """Return quantiles of the lengths of the finite rows; none where there is no such row."""
    finite = scan.finite
    if not len(finite):
        return {}
    values = np.quantile(finite, list(QUANTILES.values()))
    return {name: float(value) for name, value in zip(QUANTILES, values, strict=True)}


def findings_of_rows(scan: Scan) -> list[Finding]:
    """Return what is odd about rows."""
    lengths = scan.lengths
    zero = np.flatnonzero(lengths == 0)
    meant = all(scan.words[row] in SPECIALS for row in zero.tolist())
    drop = "drop them: table.subset(words_to_keep)"
    found = _tally(scan, zero, length=False).finding(
        "note" if meant else "warning",
        "zero_rows",
        "rows of zeros",
        "leave them: padding and unknown words are zeros as a rule"
        if meant
        else f"{drop}; cosine to them is not defined",
    )
    found += _tally(scan, np.flatnonzero(np.isnan(lengths)), length=False).finding(
        "warning", "nan_rows", "rows with NaN", f"{drop}; training refuses them"
    )
    found += _tally(scan, np.flatnonzero(np.isinf(lengths)), length=False).finding(
        "warning", "infinite_rows", "rows with infinite values", f"{drop}; training refuses them"
    )
    return found + _far(scan)


def _far(scan: Scan) -> list[Finding]:
    """Return rows that are far longer or shorter than the others."""
    rows = np.flatnonzero(np.isfinite(scan.lengths) & (scan.lengths > 0))
    if not len(rows):
        return []
    logs = np.log(scan.lengths[rows])
    median = float(np.median(logs))
    spread = max(1.4826 * float(np.median(np.abs(logs - median))), MIN_SPREAD)
    off = np.abs(logs - median) / spread
    far = rows[off > FAR]
    far = far[np.argsort(-off[off > FAR], kind="stable")]
    huge = int((scan.lengths[far] > HUGE * np.exp(median)).sum())
    severity: Severity = "warning" if huge else "note"
    return _tally(scan, far, length=True).finding(
        severity,
        "outlier_norms",
        f"rows far longer or shorter than the median of {np.exp(median):.3g}",
        f"drop them, table.subset(words_to_keep): {huge:,} are over {HUGE:.0f} times the median"
        if huge
        else "leave them: they are rare words as a rule, hardly trained",
    )


def _tally(scan: Scan, rows: npt.NDArray[np.int64], *, length: bool) -> Tally:
    tally = Tally()
    for row in rows[:10].tolist():
        size = f" {scan.lengths[row]:.3g}" if length else ""
        tally.add(f"{quoted(scan.words[row])}{size} ({scan.place(row)})")
    tally.count = len(rows)
    return tally
