"""`Inspection`, the report on a vector file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from textwrap import indent
from typing import Any

from ..errors import PythonForm
from ..vocabulary import Coverage
from .advice import Advice
from .findings import PYTHON, Finding
from .frequency_order import Order
from .scan import Header
from .word_case import Case

__all__ = ["Inspection"]

WIDTH = 12  # of the names on the left


@dataclass(frozen=True)
class Inspection:
    """What was found in a vector file. `str` returns it as a report.

    Attributes:
        path: the file.
        source_format: `glove`, `word2vec`, `word2vec-binary`, `safetensors` and so on.
        compression: the layers of compression, such as `gzip` or `gzip+tar`; `""` for none.
        size: the number of bytes on disk; None for a stream.
        sha256: the hash of the bytes on disk; None for a folder.
        words: the number of rows that could be read, duplicates included.
        vector_size: the number of values in a row.
        dtype: the type of the stored numbers; `text` for decimals; `unknown` if they could not be
            read.
        header: what the header of a word2vec file promises, and whether that is true; None if the
            format has no header, or one that its loader checks.
        norms: quantiles of the Euclidean lengths of the finite rows.
        case: the number of words of each case.
        tokenizer: the name of the tokenizer that fits the words, as `finetune` takes it; or the
            kind of the one that the vectors came with, which it uses by default.
        conventions: how texts were tokenized, judged from the words, one clause each.
        specials: the special tokens among the words, with the line or row of each.
        order: whether rows are sorted by frequency, and the reason for the judgement.
        findings: what is odd, errors first.
        advice: the coverage of a data set and recommended settings; None without a data set.
        metadata: the provenance that a tuned table carries.

    Example:
        >>> found = fe.inspect("glove.6B.50d.txt", dataset="reviews")
        >>> found.tokenizer, len(found.findings)
        ('glove', 1)
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
        """The coverage of the data set's words as written; None without a data set."""
        return None if self.advice is None else self.advice.exact

    @property
    def is_clean(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return all(finding.severity == "note" for finding in self.findings)

    def to_dict(self, form: PythonForm = PYTHON) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON.

        Args:
            form: how remedies are written, for Python or for the command line.
        """
        plain = asdict(self) | {"is_clean": self.is_clean}
        plain["findings"] = [finding.to_dict(form) for finding in self.findings]
        plain["coverage"] = None if self.coverage is None else asdict(self.coverage)
        if self.advice is not None:
            plain["advice"]["settings"] = self.advice.settings
        return plain

    def render(self, form: PythonForm) -> str:
        """Return the report as text, with remedies for Python or for the command line."""
        lines = [f"{self.path}: {self.source_format}, {self.words:,} words x {self.vector_size}"]
        lines += [f"{name:<{WIDTH}}{value}" for name, value in self._facts().items()]
        lines += [f"{name}: {value}" for name, value in self.metadata.items()]
        counts = [
            f"{n} {severity}s" if n > 1 else f"1 {severity}"
            for severity in ("error", "warning", "note")
            if (n := sum(finding.severity == severity for finding in self.findings))
        ]
        lines.append(f"{'findings':<{WIDTH}}{', '.join(counts) or 'none'}")
        lines += [indent(finding.render(form), "  ") for finding in self.findings]
        if self.advice is not None:
            lines.append(str(self.advice))
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render(PYTHON)

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
            return "none, as usual for GloVe text" if plain else "checked by the loader"
        promise = f"promises {self.header.rows:,} x {self.header.vector_size}"
        return f"{promise}, which is {'true' if self.header.is_true else 'not true'}"
