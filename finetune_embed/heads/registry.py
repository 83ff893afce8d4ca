"""Every head by name, and heads from text such as `bag(hidden=100)`."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ..errors import DataError
from ..parsing import parse_call
from .bag import BagOfEmbeddings
from .cnn import KimCNN
from .pair import PairOfBags
from .pooled_cnn import PooledCNN
from .taggers import BiLSTMTagger, CNNTagger

__all__ = ["HEADS", "build_head", "takes_pairs"]

#: The heads that a text form can name: `bag`, `bag(hidden=100)`, `cnn(filters=50, widths=(2, 3))`.
#: Those with `per_word` label each word, those with `pairs` two texts, the others each text.
HEADS: dict[str, Callable[..., nn.Module]] = {
    "bag": BagOfEmbeddings,
    "cnn": KimCNN,
    "pooled_cnn": PooledCNN,
    "pair": PairOfBags,
    "bilstm": BiLSTMTagger,
    "cnn_tagger": CNNTagger,
}


def build_head(text: str, embedding: nn.Embedding, num_labels: int) -> nn.Module:
    """Return the head of a text form such as `bag(hidden=100)`.

    Raises:
        DataError: a name or an option is unknown.
    """
    return parse_call(text, HEADS, "head", DataError, embedding, num_labels)


def takes_pairs(head: object) -> bool:
    """Return whether a head takes pairs of texts: a module, a class, or a text form.

    What a function returns is not known before it is called; it may have the attribute itself.
    """
    if isinstance(head, str):
        head = HEADS.get(head.partition("(")[0].strip())
    return bool(getattr(head, "pairs", False))
