"""`Inspection`: the doctor's report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from textwrap import indent
from typing import Any

from ..vocabulary import Coverage
from .advice import Advice
from .conventions import Order
from .findings import Finding
from .scan import Header
from .word_findings import Case

__all__ = ["Inspection"]

WIDTH = 12  # of the names at the left


@dataclass(frozen=True)
class Inspection:
    """What was found in a vector file. Prints as a report.

    Attributes:
        path: the file.
        source_format: `glove`, `word2vec`, `word2vec-binary`, `safetensors` and so on.
        compression: what was undone, such as `gzip` or `gzip+tar`; `""` for none.
        size: bytes on disk; None of a stream.
        sha256: of the bytes on disk; None of a folder.
        words: rows that could be read, duplicates too.
        vector_size: values in a row.
        dtype: of the numbers as they are stored; `text` where they are decimals; `unknown` where
            they could not be read.
        header: what the header of a word2vec file promises, and whether that is true; None where
            the format has none, or one that its loader checks.
        norms: quantiles of the Euclidean lengths of the finite rows.
        case: how many words are of which case.
        tokenizer: the convention that fits the words, a name that `finetune` takes.
        conventions: what the words tell of how texts were cut, each in one clause.
        specials: special tokens among the words, and the line or row of each.
        order: whether rows are sorted by frequency, and how that was judged.
        findings: what is odd, errors first.
        advice: coverage of a data set and the settings that follow, if one was given.
        metadata: the story that a tuned table carries.
    """

    path: str
    source_format: str
    compression: str
    size: int | None
    sha256: str | None
    words: int
    vector_size: int
    dtype: str
    header: Header | None
    norms: Mapping[str, float]
    case: Case
    tokenizer: str
    conventions: tuple[str, ...]
    specials: Mapping[str, int]
    order: Order
    findings: tuple[Finding, ...]
    advice: Advice | None
    metadata: Mapping[str, str]

    @property
    def coverage(self) -> Coverage | None:
        """What the table has of the data set's words as they stand, if one was given."""
        return None if self.advice is None else self.advice.exact

    @property
    def is_clean(self) -> bool:
        """Whether there is no error and no warning; notes don't count."""
        return all(finding.severity == "note" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        plain = asdict(self) | {"is_clean": self.is_clean}
        plain["coverage"] = None if self.coverage is None else asdict(self.coverage)
        if self.advice is not None:
            plain["advice"]["settings"] = self.advice.settings
        return plain

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.source_format}, {self.words:,} words x {self.vector_size}"]
        lines += [f"{name:<{WIDTH}}{value}" for name, value in self._facts().items()]
        lines += [f"{name}: {value}" for name, value in self.metadata.items()]
        counts = [
            f"{n} {severity}s" if n > 1 else f"1 {severity}"
            for severity in ("error", "warning", "note")
            if (n := sum(finding.severity == severity for finding in self.findings))
        ]
        lines.append(f"{'findings':<{WIDTH}}{', '.join(counts) or 'none'}")
        lines += [indent(str(finding), "  ") for finding in self.findings]
        if self.advice is not None:
            lines.append(str(self.advice))
        return "\n".join(lines)

    def _facts(self) -> dict[str, str]:
        size = "" if self.size is None else f"{self.size:,} bytes, "
        facts = {"file": f"{size}{self.compression or 'not compressed'}"}
        facts["file"] += "" if self.dtype == "unknown" else f", numbers {self.dtype}"
        if self.sha256 is not None:
            facts["sha256"] = self.sha256
        facts["header"] = self._header()
        if not self.words:
            return facts
        if self.norms:
            facts["row lengths"] = ", ".join(f"{n} {v:.3g}" for n, v in self.norms.items())
        facts["case"] = str(self.case)
        facts["convention"] = "; ".join(self.conventions)
        facts["tokenizer"] = self.tokenizer
        if self.specials:
            facts["specials"] = ", ".join(f"{token} ({n:,})" for token, n in self.specials.items())
        order = self.order
        facts["sorted"] = f"by frequency: {order.sorted_by_frequency} ({order.because})"
        return facts

    def _header(self) -> str:
        if self.header is None:
            plain = self.source_format == "glove"
            return "none, as is right for GloVe text" if plain else "checked by the loader"
        promise = f"promises {self.header.rows:,} x {self.header.vector_size}"
        return f"{promise}, which is {'true' if self.header.is_true else 'not true'}"
