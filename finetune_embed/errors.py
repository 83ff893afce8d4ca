"""Every error the library raises on bad input.

```
FinetuneEmbedError(Exception)
├── VectorFileError(ValueError)   a vector file that can't be read, or a table it can't hold
├── VocabularyError(ValueError)   tokens, ids and tables that don't belong together
├── StrategyError(ValueError)     a strategy that contradicts itself, or one that trains nothing
├── DataError(ValueError)         a data set, a column, a label or a run folder that can't be used
└── DivergenceError(ArithmeticError)   a learning rate at which training can't but diverge
```

A message says what is wrong, where (`file:line`), both values, and the cure in calling form.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "DivergenceError",
    "FinetuneEmbedError",
    "StrategyError",
    "VectorFileError",
    "VocabularyError",
]


class FinetuneEmbedError(Exception):
    """The base of all errors that the library raises on bad input."""


class VectorFileError(FinetuneEmbedError, ValueError):
    """A vector file is missing, damaged or not of the format asked for, or can't hold a table."""


class VocabularyError(FinetuneEmbedError, ValueError):
    """Tokens, ids and a table don't belong together."""


class StrategyError(FinetuneEmbedError, ValueError):
    """A strategy contradicts itself, meets the wrong optimizer, or trains nothing."""


class DataError(FinetuneEmbedError, ValueError):
    """A data set, a column, a label or a run folder can't be used."""


class DivergenceError(FinetuneEmbedError, ArithmeticError):
    """The learning rate is too large: a loss is not finite, or decay would turn rows over."""
